"""The pytest plugin: hooks only, each handing on. Inert without `--modelconform`; imports neither torch nor numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import options

if TYPE_CHECKING:
    from .in_hand import InHand
    from .registry import Registry


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare our options."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare our hooks, so that other packages may implement them."""
    from . import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_modelconform_register(registry: Registry) -> None:
    """Add the built-in formats and runtimes, by the same hook that other packages use."""
    from .registry import register_built_in

    register_built_in(registry)


def pytest_configure(config: pytest.Config) -> None:
    """Where the run is ours, register the plugin that does the work."""
    if options.enabled(config):
        from .session import SessionPlugin

        session = SessionPlugin(config)
        config.pluginmanager.register(session, "modelconform-session")
        if session.settings.shard:
            from .shards import ShardPlugin

            config.pluginmanager.register(ShardPlugin(session, *session.settings.shard), "modelconform-shard")
        if session.settings.update_expected:
            from .expected_session import UpdatePlugin

            config.pluginmanager.register(UpdatePlugin(session), "modelconform-update-expected")


@pytest.fixture
def modelconform(request: pytest.FixtureRequest) -> InHand:
    """Checks exports of a model in hand: `modelconform.check(model, inputs, formats=["onnx"], runtimes=["ort"])`."""
    from . import in_hand

    return in_hand.InHand(in_hand.machinery(request.config), request.node.name)
