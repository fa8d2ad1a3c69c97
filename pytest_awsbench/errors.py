"""What can go wrong, one class per boundary.

::

    AwsbenchError
    ├── ConfigError   options and configuration           exit status 4
    ├── DataError     data sets and recorded answers      exit status 4
    ├── ModelError    checkpoints, adapters, templates    exit status 4
    ├── StoreError    baselines, journals, output folder  exit status 4
    ├── ReportError   runs that are read again, reports   exit status 2 of awsbench
    └── InfraError    hub, device, worker, network        exit status 75
        └── TooLongError   a prompt that leaves a server no room to answer

Each message says what is wrong, where, and what to do next.
"""


class AwsbenchError(Exception):
    """Anything that the plugin reports about itself, never about a model."""


class ConfigError(AwsbenchError):
    """An option or a configuration value cannot be used."""


class DataError(AwsbenchError):
    """A data set or a file of recorded answers cannot be read."""


class ModelError(AwsbenchError):
    """A checkpoint or an adapter cannot be used as configured."""


class StoreError(AwsbenchError):
    """A baseline, a journal or the output folder cannot be read or written."""


class ReportError(AwsbenchError):
    """A run that is kept cannot be read, compared or reported."""


class InfraError(AwsbenchError):
    """Infrastructure failed; trying again later may help."""


class TooLongError(InfraError):
    """A prompt beside which the context of a server has no room for an answer."""
