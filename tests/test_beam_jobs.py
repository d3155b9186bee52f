"""The words of errors that engines pass on, and jobs that nobody waits for any more."""

import pytest

from pipeline.beam_jobs import in_words

PYTHON = """\
Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1495, in process
    return self.do_fn_invoker.invoke_process(windowed_value)
  File "components/example_gen.py", line 130, in write_shard
    writer.write(example)
OSError: [Errno 28] No space left on device: '/w/Split-train' [while running 'Write']

"""
AROUND = f"""\
Pipeline BeamApp_1 failed in state FAILED: java.lang.RuntimeException: Error received from SDK \
harness for instruction 3: {PYTHON}
\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.handle(Fn.java:2)
Caused by: java.lang.RuntimeException: again
\tat java.base/java.lang.Thread.run(Thread.java:840)
"""
JAVA = """\
org.apache.flink.runtime.JobException: Recovery is suppressed by FixedDelayRestartStrategy
\tat org.apache.flink.runtime.executiongraph.failover.Handler.handle(Handler.java:176)
Caused by: org.apache.flink.runtime.NoResourceAvailableException: Could not acquire the minimum \
required resources.
\tat org.apache.flink.runtime.scheduler.Slots.cancel(Slots.java:5)
"""
MINIMUM = "minimum required resources."
FULL = "OSError: [Errno 28] No space left on device: '/w/Split-train' (in a worker of Beam)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PYTHON, FULL),
        (f"Error processing: {PYTHON}", FULL),
        (AROUND, FULL),
        (JAVA, f"NoResourceAvailableException: Could not acquire the {MINIMUM}: no task slot was"),
        (
            "Pipeline BeamApp_1 failed in state FAILED: java.util.concurrent.TimeoutException: "
            "Timeout has occurred: 300000 ms",
            "TimeoutException: Timeout has occurred: 300000 ms: no task slot was free in time",
        ),
        (JAVA.partition("Caused by")[0], "JobException: Recovery is suppressed by FixedDelayRe"),
        ("no room [while running 'Write']", "no room"),
        ("two\nlines that were meant", "two\nlines that were meant"),
    ],
)
def test_an_error_is_told_without_the_trace_that_carried_it(text: str, words: str) -> None:
    assert in_words(RuntimeError(text)).startswith(words)
    assert "\n\tat" not in in_words(text)


def test_an_error_without_words_is_named() -> None:
    assert in_words(StopIteration()) == "StopIteration()"
