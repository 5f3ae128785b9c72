"""Who lists shards for a sweep: processes of this machine, or workers of a cluster."""

from concurrent.futures import Executor

from auditor.config import Config, Workers
from auditor.crew import Crew
from auditor.executors.dask import Cluster, Place
from auditor.executors.pool import Pool
from auditor.executors.task import Order, task_of


def crew_of(config: Config, *, by_sdk: bool = False, verbose: bool = False) -> Crew | None:
    """Those that the config asks for, of whom nothing is asked yet; None: one process lists it all.

    Raises:
        UsageError: they cannot be asked as it says.
    """
    count, place = config.workers.processes, _place(config.workers)
    if count == 1:
        return None
    if place is not None:
        place.check()

    def make() -> Executor:
        if place is not None:
            return Cluster(place)
        return Pool(count, json_lines=config.log.json_lines, verbose=verbose)

    return Crew(count, make, task_of(Order(config, count, by_sdk)))


def _place(workers: Workers) -> Place | None:
    ca, cert, key = workers.tls_ca, workers.tls_cert, workers.tls_key
    if workers.dask is None or ca is None or cert is None or key is None:
        return None
    return Place(workers.dask, ca, cert, key)
