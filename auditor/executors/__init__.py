"""Who lists shards for a sweep: processes of this machine."""

from functools import partial

from auditor.config import Config
from auditor.crew import Crew
from auditor.executors.pool import Pool
from auditor.executors.task import Order, task_of


def crew_of(config: Config, *, by_sdk: bool = False, verbose: bool = False) -> Crew | None:
    """The processes that the config asks for, of which none begins yet; None: one process lists it all."""
    count = config.workers.processes
    if count == 1:
        return None
    make = partial(Pool, json_lines=config.log.json_lines, verbose=verbose)
    return Crew(count, make, task_of(Order(config, count, by_sdk)))
