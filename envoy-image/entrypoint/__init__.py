"""
The first process of the Envoy container: fetch, pre-flight, install, run Envoy, watch for new versions.

::

    supervisor (PID 1)   signals, reaping, exit code; imports almost nothing, holds no key
    ├── watcher          fetches secrets, judges them, hands them to Envoy as files or over a socket;
    │                    restarted when it dies
    └── envoy            started at once; waits for its configuration until the first secrets are installed

A child never outlives the supervisor, and the watcher's death never touches Envoy.

Start-up time decides the style here: values are ``NamedTuple`` (a frozen dataclass costs seven times as much to
define), and modules that only stopping or rotating needs are imported then.
"""
