"""Properties of a model that can't be read."""

from __future__ import annotations

from typing import Any


def without_failing_properties(model: Any) -> None:
    """Take the properties away that raise: TorchScript reads all of them."""

    def missing(module: Any) -> Any:
        raise AttributeError

    for module in model.modules():
        own = type(module)
        failing = []
        for name in dir(own):
            if isinstance(getattr(own, name, None), property):
                try:
                    getattr(module, name)
                except AttributeError:
                    pass
                except Exception:
                    failing.append(name)
        if failing:
            unused = [*getattr(own, "__jit_unused_properties__", ()), *failing]
            members = {"__jit_unused_properties__": unused, **dict.fromkeys(failing, property(missing))}
            module.__class__ = type(own.__name__, (own,), members)
