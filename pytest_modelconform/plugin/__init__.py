"""The pytest plugin: hooks only, each handing on. Inert without `--modelconform`; imports neither torch nor numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from . import options

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..cells.registry import Registry
    from .fixture import InHand


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
    from ..cells.registry import register_built_in

    register_built_in(registry)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Where the run is ours and nobody says how many processes it takes, say so before xdist looks."""
    if options.enabled(config):
        from . import processes

        processes.decide(config)
    return (yield)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, int, int]:
    """Where the run is ours, let `-n auto` heed memory and a container's limits."""
    theirs = yield
    if not options.enabled(config):
        return theirs
    from . import processes

    return processes.automatic(config, theirs)


def pytest_configure(config: pytest.Config) -> None:
    """Where the run is ours, register the plugin that does the work."""
    if options.enabled(config):
        from .ahead import AheadPlugin
        from .blaming import BlamePlugin
        from .divided import DividedPlugin
        from .ending import EndingPlugin
        from .named import NamedPlugin
        from .run import RUN, Run
        from .session import SessionPlugin

        run = config.stash[RUN] = Run(config)
        session = SessionPlugin(run)
        config.pluginmanager.register(session, "modelconform-session")
        config.pluginmanager.register(EndingPlugin(run, session.log), "modelconform-ending")
        config.pluginmanager.register(BlamePlugin(run, session.log), "modelconform-blame")
        config.pluginmanager.register(run.accounting, "modelconform-accounting")
        config.pluginmanager.register(NamedPlugin(run), "modelconform-named")
        config.pluginmanager.register(AheadPlugin(run), "modelconform-ahead")
        if run.is_xdist_worker:
            config.pluginmanager.register(DividedPlugin(run), "modelconform-divided")
        if run.settings.shard:
            from .shards import ShardPlugin

            config.pluginmanager.register(ShardPlugin(run, *run.settings.shard), "modelconform-shard")
        if run.settings.update_expected:
            from .updating import UpdatePlugin

            config.pluginmanager.register(UpdatePlugin(run), "modelconform-update-expected")
    elif why := options.forgotten(config):
        raise pytest.UsageError(why)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Where nothing was collected, say what would be."""
    # Whoever names nothing, and none of our options, may not even know of us.
    if exitstatus != pytest.ExitCode.NO_TESTS_COLLECTED or terminalreporter.stats.get("deselected"):
        return
    is_named = config.args_source is type(config.args_source).ARGS or options.typed(config)
    if is_named or options.enabled(config):
        from .nothing import why_nothing

        if why := why_nothing(config):
            terminalreporter.line(f"modelconform: {why}")


@pytest.fixture
def modelconform(request: pytest.FixtureRequest) -> InHand:
    """Checks exports of a model in hand: `modelconform.check(model, inputs, formats=["onnx"], runtimes=["ort"])`."""
    from . import fixture

    return fixture.InHand(fixture.checks_of(request.config), request.node.name, request.path.parent)
