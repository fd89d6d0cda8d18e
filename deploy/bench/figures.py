"""Summaries of many measurements of one figure. Pure functions, tested by Tests/bench/run."""
import math
import statistics

# A smaller difference between two revisions counts as none, however certain it is.
LEAST_DIFFERENCE = 0.02


def median(values):
    return statistics.median(values) if values else math.nan


# With this confidence, 97 of 100 comparisons of seven figures call none of them worse by chance.
CONFIDENCE = 0.98


def interval(values, confidence=CONFIDENCE):
    """The narrowest pair of order statistics that the median lies between with that confidence, whatever the values'
    distribution (binomial). None if even the whole range does not reach the confidence, which needs seven values."""
    ordered, count = sorted(values), len(values)
    outside, rank = 0.0, 0
    while rank < count // 2:
        outside += 2 * math.comb(count, rank) / 2**count
        if 1 - outside < confidence:
            break
        rank += 1
    return (ordered[rank - 1], ordered[count - rank]) if rank else None


def verdict(ratios, more_is_better, least=LEAST_DIFFERENCE):
    """`better`, `worse` or `same` of the ratios new over old, a pair each. A difference counts when the interval of the
    median lies on one side of 1 and the median is far enough from it."""
    between, middle = interval(ratios), median(ratios)
    if between is None or between[0] <= 1 <= between[1] or abs(middle - 1) < least:
        return "same"
    return "better" if (middle > 1) == more_is_better else "worse"


def number(value):
    """Three digits that matter, thousands apart: 0.0123, 1.23, 12.3, 12,300."""
    if not math.isfinite(value):
        return "—"
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    if abs(value) >= 100:
        digits = -(math.floor(math.log10(abs(value))) - 2)
        return f"{round(value, digits if abs(value) >= 1000 else 0):,.0f}"
    return f"{value:.{places}f}"


def spread(values):
    """The median, with the least and the greatest if there are several values."""
    if len(values) < 2:
        return number(median(values))
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


def linear_ticks(greatest, about=5):
    """Round numbers from 0 to at least `greatest`, about so many steps apart."""
    raw = max(greatest, 1e-9) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999999)
    return [step * index for index in range(math.ceil(greatest / step - 1e-9) + 1)]


def log_ticks(least, greatest, factors=(1,)):
    """`factors` times the powers of ten, from the last not above `least` to the first not below `greatest`."""
    powers = range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(greatest)) + 2)
    ticks = [factor * 10.0**power for power in powers for factor in factors]
    low = max(tick for tick in ticks if tick <= least * 1.000001)
    high = min(tick for tick in ticks if tick >= greatest * 0.999999)
    return [tick for tick in ticks if low <= tick <= high]
