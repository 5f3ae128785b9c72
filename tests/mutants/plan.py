"""Which modules are mutated, and which tests must notice: the nearest first, because the first failure ends a try."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

ENUMS: Final = ("auditor/model.py", "auditor/findings.py")
"""Where the members come from that are put in place of each other."""

HEAVY: Final = (
    *("pytest", "hypothesis", "botocore.session", "boto3", "moto", "requests", "typer", "rich.table"),
    *("google.cloud.kms_v1", "google.cloud.storage", "google.auth.transport.requests", "grpc"),
    *("sqlalchemy.orm", "alembic.command", "pydantic", "duckdb", "pyarrow.parquet", "jinja2", "starlette.applications"),
)
"""Imported once, before every try is forked off."""

_DIFF: Final = "tests/questions/test_diff.py"
_LAST_USE: Final = "tests/questions/test_last_use.py"
_ENGINE: Final = "tests/test_engine.py"
_OF_DATA: Final = "tests/rules/test_rules_of_data.py"
_OF_KEYS: Final = "tests/rules/test_rules_of_keys.py"
_OF_HYGIENE: Final = "tests/rules/test_rules_of_hygiene.py"
_OLD_WORDS: Final = "tests/test_old_words.py"
_KEYS_ONLY: Final = "tests/test_keys_only.py"
_BUNDLE_MADE: Final = "tests/handover/test_bundle_made.py"
_VERIFYING: Final = "tests/evidence/test_verifying.py"
_BUNDLE_READ: Final = "tests/handover/test_bundle_read.py"
_BUNDLE_JUDGED: Final = "tests/handover/test_bundle_judged.py"
_LABELS: Final = "tests/ownership/test_labels.py"
_NAMES: Final = "tests/ownership/test_names_of_keys.py"
_REGISTRY: Final = "tests/ownership/test_registry.py"
_OWNERSHIP: Final = "tests/rules/test_rules_of_ownership.py"
_OWNED: Final = "tests/ownership/test_ownership.py"
_OF_OWNERSHIP: Final = ("bucket_default_mismatch", "key_location_mismatch", "mixed_keys", "registry_mismatch")
_TURBOPUFFER: Final = "tests/ownership/test_registry_turbopuffer.py"
_WAIVERS: Final = "tests/test_waivers.py"
_TABLES: Final = "tests/readability/test_tables.py"
_UNDOS: Final = "tests/readability/test_undos.py"
_PROBE: Final = "tests/readability/test_probe.py"
_CONTINUITY: Final = "tests/readability/test_continuity.py"
_PARSING: Final = "tests/connectors/test_parsing.py"
_DOCTOR: Final = "tests/doctoring/test_doctor.py"
_DOCTOR_LOCAL: Final = "tests/doctoring/test_local.py"
_DOCTOR_PARTS: Final = "tests/doctoring/test_parts.py"
_ATTRIBUTION: Final = tuple(f"tests/attribution/test_attribution{one}.py" for one in ("_table", "", "_truth"))
_GRANTS: Final = "tests/doctoring/test_grants.py"
_FUZZ: Final = "tests/connectors/test_fuzz.py"
_PROBES: Final = "tests/connectors/test_probes.py"


@dataclass(frozen=True, slots=True)
class Target:
    """Modules that the same tests speak of."""

    modules: str
    """A pattern of paths."""
    tests: tuple[str, ...]
    classes: bool = True
    """False where only tables and functions decide over verdicts."""


PLAN: Final = (
    Target("auditor/readability/probe.py", (_PROBE, _TABLES, _ENGINE)),
    Target("auditor/readability/[!p]*.py", (_TABLES, _UNDOS, _PROBE, _CONTINUITY, _ENGINE)),
    Target("auditor/readability/action.py", ("tests/readability/test_action.py", "tests/questions/test_foreseeing.py")),
    Target("auditor/readability/claim.py", ("tests/readability/test_claims.py", _KEYS_ONLY, _BUNDLE_JUDGED)),
    Target("auditor/questions/impact/supposing.py", ("tests/questions/test_supposing.py", _KEYS_ONLY)),
    Target("auditor/inventory/claiming.py", ("tests/inventory/test_claiming.py", _KEYS_ONLY, _BUNDLE_JUDGED)),
    Target("auditor/handover/bundle.py", ("tests/handover/test_bundle.py", _BUNDLE_READ)),
    Target(
        "auditor/signing/envelope.py",
        ("tests/signing/test_envelope.py", "tests/signing/test_key_files.py", "tests/signing/test_elsewhere.py"),
    ),
    Target("auditor/evidence/tree.py", ("tests/evidence/test_tree.py", _VERIFYING)),
    Target("auditor/evidence/zipped.py", ("tests/evidence/test_zipped.py", _VERIFYING)),
    Target("auditor/evidence/statement.py", (_VERIFYING,)),
    Target("auditor/evidence/archive.py", (_VERIFYING,)),
    Target("auditor/evidence/verifying.py", (_VERIFYING,)),
    Target("auditor/handover/bundling.py", ("tests/handover/test_bundling.py", _BUNDLE_MADE)),
    Target("auditor/handover/lacking.py", ("tests/handover/test_lacking.py", _BUNDLE_READ, _BUNDLE_JUDGED)),
    Target("auditor/inventory/handed.py", ("tests/inventory/test_handed.py", _BUNDLE_READ, _BUNDLE_JUDGED)),
    Target(
        "auditor/questions/prove_revoked/proving.py",
        (
            "tests/questions/test_proving.py",
            "tests/questions/test_prove_revoked.py",
            "tests/questions/test_proof_left_open.py",
            _KEYS_ONLY,
            _BUNDLE_JUDGED,
        ),
    ),
    Target("auditor/questions/prove_revoked/refuting.py", ("tests/questions/test_refuting.py",)),
    Target("auditor/questions/retire/planning.py", ("tests/questions/test_planning.py",)),
    Target("auditor/questions/impact/unseen.py", ("tests/questions/test_unseen.py",)),
    Target("auditor/readability/ageing.py", ("tests/readability/test_ageing.py",)),
    Target(
        "auditor/readability/assess.py",
        (
            *(_TABLES, _UNDOS, _PROBE, _CONTINUITY, _ENGINE, _OLD_WORDS),
            *(f"tests/readability/test_{one}.py" for one in ("shared", "ageing", "last_words")),
        ),
    ),
    Target("auditor/readability/continuity.py", (_CONTINUITY, _TABLES)),
    Target("auditor/readability/neighbours.py", ("tests/readability/test_neighbours.py",)),
    Target("auditor/readability/shared.py", ("tests/readability/test_shared.py",)),
    Target(
        "auditor/engine.py",
        (
            _ENGINE,
            "tests/test_engine_of_logs.py",
            "tests/test_engine_of_others.py",
            "tests/readability/test_shared.py",
            _OLD_WORDS,
            _OWNERSHIP,
            _WAIVERS,
            _OWNED,
            _KEYS_ONLY,
            _BUNDLE_JUDGED,
        ),
    ),
    Target("auditor/attribution/silent_logs.py", ("tests/attribution/test_silent_logs.py", *_ATTRIBUTION)),
    *(
        Target(f"auditor/attribution/{one}.py", (f"tests/attribution/test_{one}.py", *_ATTRIBUTION))
        for one in ("who", "explaining", "replied", "tracing")
    ),
    Target("auditor/feeds/silence.py", ("tests/feeds/test_feed_silent.py",)),
    Target("auditor/audience/wholly.py", ("tests/audience/test_wholly.py",)),
    Target("auditor/ownership/answering.py", ("tests/ownership/test_answering.py",)),
    Target("auditor/overtaking.py", ("tests/test_overtaking.py",)),
    Target("auditor/connectors/aws/places.py", ("tests/connectors/test_places.py", "tests/connectors/test_listing.py")),
    Target("auditor/controls/s*.py", ("tests/controls/test_standing.py",), classes=False),
    Target("auditor/lifecycle.py", ("tests/test_lifecycle.py", _ENGINE)),
    Target("auditor/overruling.py", ("tests/test_overruling.py",)),
    Target("auditor/rule.py", ("tests/rules/test_rule.py", _OF_DATA, _OF_KEYS, _OF_HYGIENE, _OLD_WORDS, _ENGINE)),
    Target("auditor/rules/*.py", (_OF_DATA, _OF_KEYS, _OF_HYGIENE, _OLD_WORDS, _ENGINE)),
    Target(
        "auditor/rules/retirable_version.py",
        ("tests/rules/test_retirable_version.py", "tests/questions/test_retirement.py"),
    ),
    *(
        Target(f"auditor/rules/{one}.py", (_REGISTRY,))
        for one in ("foreign_tenant_key", "not_customer_managed", "wrong_key")
    ),
    *(Target(f"auditor/rules/{one}.py", (_OWNERSHIP, _OF_DATA, _OWNED)) for one in _OF_OWNERSHIP),
    Target("auditor/ownership/owning.py", (_OWNERSHIP, _REGISTRY, _ENGINE, _OWNED)),
    Target("auditor/ownership/owned.py", (_OWNERSHIP, _OWNED)),
    *(Target(f"auditor/ownership/{one}.py", (_NAMES,)) for one in ("said", "twofold")),
    Target(
        "auditor/ownership/spelling.py", ("tests/ownership/test_spelling.py", "tests/ownership/test_calling.py", _NAMES)
    ),
    Target("auditor/ownership/calling.py", ("tests/ownership/test_calling.py", _NAMES)),
    Target("auditor/completeness.py", ("tests/test_completeness.py",)),
    Target(
        "auditor/connectors/*/counts.py", ("tests/connectors/test_counts_told.py", "tests/connectors/test_counts.py")
    ),
    Target("auditor/locations.py", ("tests/test_locations.py",)),
    Target("auditor/connectors/aws/settings.py", ("tests/connectors/test_aws_objects.py",)),
    Target("auditor/connectors/gcp/settings.py", ("tests/connectors/test_gcp_objects.py",)),
    Target("auditor/rules/orphan_objects.py", (_REGISTRY, _TURBOPUFFER)),
    Target("auditor/rules/waiver_*.py", (_WAIVERS,)),
    Target("auditor/waive*.py", (_WAIVERS,)),
    Target("auditor/waiving.py", (_WAIVERS,)),
    Target("auditor/questions/retire/retirement.py", ("tests/questions/test_retirement.py", _LAST_USE)),
    Target("auditor/questions/retire/retiring.py", ("tests/questions/test_retirement.py", _LAST_USE)),
    Target("auditor/connectors/aws/usage.py", ("tests/connectors/test_aws_usage.py",)),
    Target(
        "auditor/questions/period/*.py", ("tests/questions/test_period.py", "tests/questions/test_period_oracle.py")
    ),
    Target("auditor/questions/period/scans.py", ("tests/ledger/test_scans.py",)),
    Target("auditor/questions/impact/foreseeing.py", ("tests/questions/test_foreseeing.py",)),
    *(
        Target(f"auditor/questions/diff/{one}.py", (_DIFF,))
        for one in ("answer", "comparable", "comparing", "flowing", "pairing")
    ),
    Target("auditor/ledger/history.py", ("tests/ledger/test_history.py", _DIFF)),
    Target("auditor/inventory/flows.py", ("tests/inventory/test_flows.py", _DIFF)),
    Target("auditor/gaps.py", ("tests/test_gaps.py",)),
    Target("auditor/ownership/registering.py", (_REGISTRY, _TURBOPUFFER, _LABELS)),
    Target("auditor/inventory/beginning.py", ("tests/inventory/test_beginning.py",)),
    Target("auditor/inventory/registry.py", ("tests/inventory/test_registry.py",)),
    Target("auditor/inventory/merging.py", ("tests/inventory/test_merging.py", _REGISTRY)),
    Target("auditor/inventory/placing.py", ("tests/inventory/test_placing.py", _REGISTRY, _OWNED, _LABELS, _NAMES)),
    Target("auditor/connectors/registry_file.py", (_REGISTRY, _LABELS)),
    Target("auditor/checkup.py", (_DOCTOR_PARTS,)),
    Target("auditor/doctoring/__init__.py", (_DOCTOR_LOCAL, _DOCTOR)),
    Target("auditor/doctoring/*_grants.py", (_GRANTS, _DOCTOR)),
    Target("auditor/doctoring/[ce]*.py", (_DOCTOR_PARTS, _DOCTOR)),
    Target("auditor/doctoring/asking.py", (_DOCTOR_PARTS, _DOCTOR)),
    Target("auditor/doctoring/local.py", (_DOCTOR_LOCAL,)),
    Target("auditor/connectors/*/doctor*.py", (_DOCTOR,)),
    Target("auditor/connectors/named_keys.py", (_REGISTRY,)),
    Target("auditor/connectors/*turbopuffer*.py", (_TURBOPUFFER, _FUZZ)),
    Target("auditor/inventory/asked.py", (_TURBOPUFFER,)),
    Target("auditor/inventory/recall.py", (_TURBOPUFFER,)),
    Target("auditor/probing.py", ("tests/test_probing.py",)),
    Target("auditor/principals.py", ("tests/test_principals.py",)),
    Target("auditor/connectors/aws/policy.py", ("tests/connectors/test_aws_policy.py", _FUZZ)),
    Target("auditor/connectors/aws/statements.py", ("tests/connectors/test_aws_policy.py", _FUZZ)),
    Target("auditor/connectors/aws/encryption.py", (_PARSING, "tests/connectors/test_aws_objects.py")),
    Target("auditor/connectors/*/answers.py", ("tests/connectors/test_answers.py",)),
    Target("auditor/connectors/*/errors.py", (_PARSING, "tests/test_sdk_vocabulary.py")),
    Target(
        "auditor/connectors/aws/listing.py",
        (
            "tests/connectors/test_listing.py",
            "tests/connectors/test_sheets.py",
            "tests/connectors/test_stretches.py",
            "tests/connectors/test_aws_stretches.py",
            "tests/connectors/test_aws_objects.py",
        ),
    ),
    Target("auditor/connectors/aws/unchanged.py", ("tests/connectors/test_aws_unchanged.py",)),
    Target(
        "auditor/connectors/aws/sheets.py",
        (
            "tests/connectors/test_sheets.py",
            "tests/connectors/test_stretches.py",
            "tests/connectors/test_aws_stretches.py",
        ),
    ),
    Target(
        "auditor/connectors/aws/stretches.py",
        ("tests/connectors/test_stretches.py", "tests/connectors/test_aws_stretches.py"),
    ),
    Target("auditor/connectors/aws/names.py", ("tests/connectors/test_aws_names.py",)),
    Target(
        "auditor/connectors/gcp/listing.py",
        ("tests/connectors/test_gcp_listing.py", _PARSING, "tests/connectors/test_gcp_objects.py"),
    ),
    Target("auditor/connectors/documents.py", ("tests/connectors/test_answers.py",)),
    Target("auditor/connectors/headers.py", ("tests/connectors/test_transfers.py", _PARSING)),
    Target("auditor/connectors/trail.py", ("tests/connectors/test_gcp_objects.py",)),
    Target(
        "auditor/connectors/aws/objects.py",
        ("tests/connectors/test_aws_pages.py", _PARSING, "tests/connectors/test_aws_objects.py"),
        classes=False,
    ),
    Target("auditor/connectors/gcp/objects.py", (_PARSING, "tests/connectors/test_gcp_objects.py"), classes=False),
    Target("auditor/connectors/gcp/policy.py", ("tests/connectors/test_gcp_keys.py", _FUZZ)),
    Target("auditor/connectors/*/probes.py", (_PROBES, "tests/test_sdk_vocabulary.py", _FUZZ)),
    Target(
        "auditor/connectors/aws/keys.py",
        (
            "tests/connectors/test_aws_key_reading.py",
            "tests/connectors/test_aws_key_facts.py",
            _PARSING,
            "tests/connectors/test_aws_keys.py",
            "tests/connectors/test_aws_access.py",
            "tests/connectors/test_aws_rotation.py",
        ),
    ),
    Target("auditor/connectors/aws/access.py", ("tests/connectors/test_aws_access.py",)),
    Target("auditor/connectors/aws/rotation.py", ("tests/connectors/test_aws_rotation.py",)),
    Target("auditor/connectors/gcp/keys.py", (_PARSING, "tests/connectors/test_gcp_keys.py", _PROBES)),
)


def planned(only: list[str]) -> dict[str, Target]:
    """Each module to mutate with its target, in the order of the plan; all of them where `only` is empty."""
    found = {str(path.relative_to(ROOT)): target for target in PLAN for path in sorted(ROOT.glob(target.modules))}
    unknown = set(only) - set(found)
    if unknown:
        raise ValueError(f"not in tests/mutants/plan.py: {', '.join(sorted(unknown))}")
    return {module: target for module, target in found.items() if not only or module in only}
