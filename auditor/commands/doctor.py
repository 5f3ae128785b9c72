"""`doctor`: what the config needs, what of it is there."""

import sys
from pathlib import Path

from auditor import checkup, doctoring, log
from auditor.commands.answering import Answering, place_for, writing
from auditor.config import load
from auditor.errors import UsageError
from auditor.grants import GcpGrants
from auditor.model import Cloud
from auditor.outputs import (
    doctor_json,
    doctor_table,
    grants,
    terminal,
)


def see_doctor(path: Path, how: Answering) -> int:
    """Print what the config needs and what of it is there; 1 if something is missing, else 3 if not all was told."""
    place_for(how.output)
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=how.verbose)
    checks = doctoring.examine(path, config)
    with writing(how.output) as out:
        if how.form == "json":
            doctor_json.write(checks, out)
        else:
            terminal.plain(out).print(doctor_table.doctor(checks))
    return checkup.exit_code(checks)


def print_grants(path: Path, cloud: Cloud, how: Answering) -> int:
    """Print what a cloud must grant for the config, to be pasted; no cloud is asked."""
    place_for(how.output)
    config = load(path)
    log.start(json_lines=config.log.json_lines, verbose=how.verbose)
    keys = doctoring.known_keys(config)
    aws = doctoring.aws_grants(config, keys) if cloud is Cloud.AWS else None
    gcp = doctoring.gcp_grants(config, keys) if cloud is Cloud.GCP else None
    if not (aws and aws.policies) and not (gcp and gcp.roles):
        raise UsageError(f"--grants {cloud}: the config names no bucket and no key there", "name the other cloud")
    with writing(how.output) as out:
        if how.form == "json":
            grants.write_json(aws, gcp, out)
        elif aws is not None:
            grants.write_aws(aws, out, sys.stderr)
        else:
            out.writelines(f"{line}\n" for line in grants.gcp_text(gcp or GcpGrants(())))
    return 0
