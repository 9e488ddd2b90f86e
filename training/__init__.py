"""Training of the judge of the geometric backend: own scenes, search candidates, logistic fit.

Two commands make everything again from seeds::

    python -m training.data OUT      scenes, candidates with features and labels (resumable)
    python -m training.judge OUT     fit, validation by domain, ``stages/geometric/judge.json``

The package is beside ``sam6d_ros`` and is not installed with it.
"""
