"""Providers of Terraform that know the schemas of the kinds in deploy/terraform, and make nothing.

Where they may be downloaded the real ones do better. Here Terraform checks whole modules by these, and mocks what they
would make. Source of the names and types: the schemas of hashicorp/aws 6.62 and hashicorp/google 6.50, as bindings that
were made of them tell; the plugin protocol of Terraform, version 5.

    python -m tests.terraform_stub     tells on one line how Terraform reaches it, and runs until it is ended
"""

import json
import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc

_TYPES: Final = {"list": ["list", "string"], "set": ["set", "string"], "map": ["map", "string"]}
SCHEMAS: Final = {
    "hashicorp/aws": {
        "aws_iam_role": "name description assume_role_policy! permissions_boundary tags:map arn* id*",
        "aws_iam_policy": "name description policy! tags:map arn* id*",
        "aws_iam_role_policy": "name role! policy! id*",
        "aws_iam_role_policy_attachment": "role! policy_arn! id*",
        "aws_sqs_queue": "name sqs_managed_sse_enabled:bool message_retention_seconds:number tags:map "
        "kms_master_key_id redrive_policy arn* url* id* region",
        "aws_sqs_queue_policy": "queue_url! policy! id* region",
        "aws_cloudwatch_event_rule": "name description event_pattern state tags:map arn* id* region",
        "aws_cloudwatch_event_target": "rule! target_id arn! role_arn input input_path id* region",
        "data aws_partition": "partition* dns_suffix* id*",
        "data aws_region": "region description* id*",
        "data aws_caller_identity": "account_id* arn* id* user_id*",
    },
    "hashicorp/google": {
        "google_service_account": "account_id! display_name description project disabled:bool email* member* name* id*",
        "google_project_iam_custom_role": "role_id! title! description stage project permissions:set! name* id*",
        "google_project_iam_member": "project! role! member! etag* id*",
        "google_service_account_iam_member": "service_account_id! role! member! etag* id*",
        "google_pubsub_topic": "name! project kms_key_name labels:map id*",
        "google_pubsub_subscription": "name! topic! project ack_deadline_seconds:number message_retention_duration "
        "id* expiration_policy{ttl!}",
        "google_pubsub_topic_iam_member": "topic! project role! member! etag* id*",
        "google_pubsub_subscription_iam_member": "subscription! project role! member! etag* id*",
        "google_logging_project_sink": "name! project destination! filter description unique_writer_identity:bool "
        "writer_identity* id*",
        "google_logging_folder_sink": "name! folder! destination! filter description include_children:bool "
        "writer_identity* id*",
        "google_logging_organization_sink": "name! org_id! destination! filter description include_children:bool "
        "writer_identity* id*",
    },
}
"""Provider -> kind -> arguments and attributes: `!` is required, `*` told by the provider alone, `{}` a block."""


def _number(told: int) -> bytes:
    low, rest = told & 0x7F, told >> 7
    return bytes([low | 0x80]) + _number(rest) if rest else bytes([low])


def _bytes(field: int, told: bytes | str) -> bytes:
    raw = told.encode() if isinstance(told, str) else told
    return _number(field << 3 | 2) + _number(len(raw)) + raw


def _flag(field: int, told: int) -> bytes:
    return _number(field << 3) + _number(told)


def _block(words: Iterable[str]) -> bytes:
    """A `Schema.Block`: attributes are its field 2, blocks its field 3."""
    return b"".join(_inner(one) if "{" in one else _bytes(2, _attribute(one)) for one in words)


def _inner(word: str) -> bytes:
    name, inside = word.rstrip("}").split("{")
    as_list = 2
    return _bytes(3, _bytes(1, name) + _bytes(2, _block(inside.split(","))) + _flag(3, as_list) + _flag(5, 1))


def _attribute(word: str) -> bytes:
    name, _, kind = word.rstrip("!*").partition(":")
    required, optional, computed = 4, 5, 6
    told = _TYPES.get(kind, kind or "string")
    flags = {"!": (required,), "*": (computed,)}.get(word[-1], (optional, computed))
    return _bytes(1, name) + _bytes(2, json.dumps(told)) + b"".join(_flag(one, 1) for one in flags)


def _schemas(kinds: dict[str, str]) -> bytes:
    """A `GetProviderSchema.Response`: the provider's own, resources, data."""
    entries = [
        _bytes(3 if kind.startswith("data ") else 2, _bytes(1, kind.removeprefix("data ")) + _bytes(2, _schema(words)))
        for kind, words in kinds.items()
    ]
    return _bytes(1, _schema("region project")) + b"".join(entries)


def _schema(words: str) -> bytes:
    return _bytes(2, _block(words.split()))


def _provider(kinds: dict[str, str]) -> "grpc.GenericRpcHandler[bytes, bytes]":
    told = _schemas(kinds)
    answers: dict[str, Callable[[bytes, object], bytes]] = {
        "GetSchema": lambda _request, _context: told,
        # A config that is prepared is the one that was asked about.
        "PrepareProviderConfig": lambda request, _context: request,
        **dict.fromkeys(("ValidateResourceTypeConfig", "ValidateDataSourceConfig", "Stop"), lambda *_: b""),
    }
    handlers = {name: grpc.unary_unary_rpc_method_handler(one) for name, one in answers.items()}
    return grpc.method_handlers_generic_handler("tfplugin5.Provider", handlers)


def main() -> None:
    """Serve until somebody ends it."""
    reached = {}
    servers = []
    for name, kinds in SCHEMAS.items():
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers((_provider(kinds),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        reached[name] = {
            "Protocol": "grpc",
            "ProtocolVersion": 5,
            "Pid": os.getpid(),
            "Test": True,  # Terraform is not to end it
            "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
        }
    print(json.dumps(reached), flush=True)  # noqa: T201 - whoever starts it waits for this
    signal.pause()


if __name__ == "__main__":
    main()
