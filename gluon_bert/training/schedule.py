"""The learning rate over a run, by steps or by time, and the batches that make one step.

A schedule is a function of what is ``done``, of the ``total`` and of the ``warmup``, in steps or in
seconds; it gives the share of the peak rate. The rate rises linearly over the warm-up.
"""

from __future__ import annotations

import math


def linear(done: float, total: float, warmup: float) -> float:
    """Fall to 0 linearly after the warm-up (Devlin et al., 2019, appendix A.2)."""
    return _falling(done, total, warmup)


def constant(done: float, total: float, warmup: float) -> float:
    """Stay at the peak after the warm-up."""
    return 1.0


def cosine(done: float, total: float, warmup: float) -> float:
    """Fall to 0 along half a cosine after the warm-up (Loshchilov and Hutter, 2017)."""
    return (1 - math.cos(math.pi * _falling(done, total, warmup))) / 2


def polynomial(done: float, total: float, warmup: float) -> float:
    """Fall to 0 as the square root of the share that is left of the whole run.

    This is the schedule of NVIDIA's recipe for LAMB: at the end of the warm-up the rate falls from
    the peak to that curve.
    """
    return math.sqrt(max(0.0, 1 - done / total))


#: Schedules by name.
SCHEDULES = {'linear': linear, 'constant': constant, 'cosine': cosine, 'polynomial': polynomial}


def share_of_peak(name: str, done: float, total: float, warmup: float) -> float:
    """Compute the share of the peak learning rate that a schedule of ``SCHEDULES`` gives.

    Parameters
    ----------
    name : str
    done : float
        Steps, that under way included, or seconds.
    total, warmup : float
        Steps, or seconds.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> [share_of_peak('linear', step, 4, 2) for step in (1, 2, 3, 4)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if done < warmup:
        return done / warmup
    return SCHEDULES[name](done, total, warmup)


def linear_schedule(step: int, num_steps: int, warmup_steps: int, peak: float) -> float:
    """Compute the learning rate of a step: up from 0 to ``peak``, then down to 0, both linearly.

    Devlin et al. (2019), appendix A.2.

    Parameters
    ----------
    step : int
        From 1 to ``num_steps``.
    num_steps, warmup_steps : int
    peak : float

    Returns
    -------
    float

    Examples
    --------
    >>> [linear_schedule(step, 4, 2, 1.0) for step in (1, 2, 3, 4)]
    [0.5, 1.0, 0.5, 0.0]
    """
    return peak * share_of_peak('linear', step, num_steps, warmup_steps)


def ramp(first: int, last: int, share: float) -> int:
    """Count the batches of a step where they grow evenly: ``share`` of the growth is behind.

    Examples
    --------
    >>> [ramp(1, 4, share) for share in (0, 0.2, 0.3, 0.8, 1)]
    [1, 1, 2, 4, 4]
    """
    return min(last, first + int((last - first + 1) * share))


def _falling(done, total, warmup):
    return max(0.0, total - done) / ((total - warmup) or 1)
