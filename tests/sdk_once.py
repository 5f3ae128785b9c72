"""What the SDK for AWS works out anew for each session and each client, worked out once: tests make thousands.

Sessions, clients and their hooks are still each test's own; what is shared says how a service is described.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from botocore import client, endpoint_provider, hooks, loaders


def share() -> None:
    """Let the SDK share it in this process."""
    # Megabytes of JSON.
    loaders.create_loader = functools.cache(loaders.create_loader)
    _share_names_of_events()
    _share_rules_of_endpoints()
    _share_methods()
    _copy_hooks_quickly()
    hooks.accepts_kwargs = functools.partial(_accepts_kwargs, hooks.accepts_kwargs)


def _accepts_kwargs(ask: Callable[[Any], Any], function: Any) -> Any:
    """As a whole signature would tell, which takes a thousand times as long."""
    code = getattr(function, "__code__", None)
    return bool(code.co_flags & inspect.CO_VARKEYWORDS) if code is not None else ask(function)


def _copy_hooks_quickly() -> None:
    """Each client has a copy of all hooks: lists of three are copied as such, and not as whatever they might be."""

    def copied(self: hooks.NodeList) -> hooks.NodeList:
        return hooks.NodeList([*self.first], [*self.middle], [*self.last])

    hooks.NodeList.__copy__ = copied  # type: ignore[method-assign,assignment]  # for that


def _share_names_of_events() -> None:
    made, known = hooks.EventAliaser.__init__, dict[str, str]()

    def make(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        made(self, event_emitter, event_aliases)
        if self._event_aliases == hooks.EVENT_ALIASES:
            self._alias_name_cache = known

    hooks.EventAliaser.__init__ = make  # type: ignore[method-assign]  # for that


def _share_rules_of_endpoints() -> None:
    parse, parsed = endpoint_provider.RuleSet, dict[int, tuple[Any, Any]]()

    def rules_of(*, rules: Any, **more: Any) -> Any:
        # They are kept with what was made of them: no others will be there.
        if id(rules) not in parsed:
            parsed[id(rules)] = rules, parse(rules=rules, **more)
        return parsed[id(rules)][1]

    endpoint_provider.RuleSet = rules_of  # type: ignore[assignment,misc]  # for that


def _share_methods() -> None:
    creator: Any = client.ClientCreator  # the stubs do not know what is its own
    make, made = creator._create_methods, dict[str, Any]()  # noqa: SLF001 - there is no other place

    def methods_of(self: Any, service_model: Any) -> Any:
        name = service_model.service_name
        if name not in made:
            made[name] = make(self, service_model)
        return dict(made[name])

    creator._create_methods = methods_of  # noqa: SLF001 - the same
