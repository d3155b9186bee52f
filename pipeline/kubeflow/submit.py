"""The command `submit`, from the user's options to an exit code."""

from rich.console import Console
from rich.markup import escape

from pipeline.kubeflow.submit_faults import ServerError
from pipeline.kubeflow.submit_plan import Plan, SubmitOptions, as_yaml, make_plan, notes, with_ids
from pipeline.kubeflow.submit_server import Server
from pipeline.kubeflow.submit_wait import SUCCEEDED, failures, wait_for_end, where_to_look
from pipeline.wrong_call import WrongCall

DONE, FAILED, WRONG_CALL, STOPPED = 0, 1, 2, 130


def submit_pipeline(options: SubmitOptions) -> int:
    """Uploads, starts, shows, waits if asked; returns the exit code."""
    console = Console(soft_wrap=True, highlight=False)
    try:
        plan = make_plan(options)
        if options.dry_run:
            console.out(as_yaml(options, plan), end="", highlight=False)
            return DONE
        for words in notes(plan):
            console.print(escape(words))
        server = Server(plan.host, plan.token, options.ssl_ca_cert)
        run = _start(options, plan, server, console)
        return _wait(options, plan, server, run, console) if options.wait else DONE
    except (WrongCall, ServerError) as error:
        console.print(f"[red]{escape(str(error))}[/]")
        return WRONG_CALL if isinstance(error, WrongCall) else FAILED


def _start(options: SubmitOptions, plan: Plan, server: Server, console: Console) -> str:
    """Uploads what is not there yet, starts the run and returns its ID."""

    def say(what: str, name: str, is_new: bool) -> None:
        there = "new" if is_new else "was there"
        console.print(f"{what:<11} {escape(name)} ({there})")

    pipeline, namespace = plan.upload.pipeline, options.namespace
    if server.has_users() and not namespace:
        raise WrongCall(f"expected --namespace: {plan.host} has one for each user or team")
    found = server.find_pipeline(pipeline.name, namespace)
    ours = found or server.create_pipeline(pipeline.name, pipeline.description, namespace)
    say("pipeline:", pipeline.name, not found)
    name = plan.upload.version_name
    found = server.find_version(ours, name)
    version = found or server.upload_version(ours, name, pipeline.description, plan.upload.text)
    say("version:", name, not found)
    found = server.find_experiment(options.experiment, namespace)
    experiment = found or server.create_experiment(options.experiment, namespace)
    say("experiment:", options.experiment, not found)
    run = server.create_run(with_ids(plan.body, experiment, ours, version))
    console.print(f"{'run:':<11} {escape(server.address(run))}")
    return run


def _wait(options: SubmitOptions, plan: Plan, server: Server, run: str, console: Console) -> int:
    def say(words: str) -> None:
        console.print(escape(words))

    try:
        ended = wait_for_end(server, run, say, options.timeout, options.poll_seconds)
    except KeyboardInterrupt:
        say(f"Stopped waiting; the run goes on: {server.address(run)}")
        return STOPPED
    if ended.state == SUCCEEDED:
        return DONE
    for line in failures(ended, plan.upload.pipeline.tasks):
        console.print(f"[red]failed:[/]     {escape(line)}")
    say(f"logs:       {server.address(run)}")
    say(f"            {where_to_look(run, options.namespace)}")
    return FAILED
