"""What was measured, and the table that it makes."""

from statistics import median


class Results:
    """The numbers of each server in each row, one of each round: the n-th ones of two servers were
    measured one right after the other."""

    def __init__(self):
        self.rows, self.numbers = [], {}

    def add(self, row, server, number):
        if row not in self.rows:
            self.rows.append(row)
        self.numbers.setdefault((row, server), []).append(number)

    def median(self, row, server):
        """None if it has not always been there."""
        numbers = self.numbers.get((row, server), [None])
        return None if None in numbers else median(numbers)

    def ratios(self, row, server, other):
        """How many times better a server was, in each round."""
        pairs = zip(self.numbers[row, server], self.numbers[row, other], strict=True)
        return [theirs / ours if row.less_is_better else ours / theirs
                for ours, theirs in pairs]

    def best(self, row, servers):
        """The best of them in a row, if any of them is there."""
        medians = {server: number for server in servers
                   if (number := self.median(row, server)) is not None}
        choose = min if row.less_is_better else max
        return choose(medians, key=medians.get) if medians else None


def markdown(head, lines):
    """A table; the first column is of words, the others of numbers."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, marks, *lines))


def number(row, value):
    return "–" if value is None else f"{value:,.{row.digits}f}"


def beside_lines(results, first, others):
    """The first server and the others in turn: its ratio to the best of them with its spread, and
    theirs of its number to each of them."""
    for row in results.rows:
        yield [row.title, number(row, results.median(row, first)),
               to_the_best(results, row, first, others),
               *(beside(results, row, first, other) for other in others)]


def to_the_best(results, row, first, others):
    best = results.best(row, others)
    if best is None or results.median(row, first) is None:
        return "–"
    ratios = results.ratios(row, first, best)
    return f"**{median(ratios):.2f}** ({min(ratios):.2f} – {max(ratios):.2f})"


def beside(results, row, first, other):
    value = results.median(row, other)
    if value is None or results.median(row, first) is None:
        return number(row, value)
    return f"{number(row, value)} ({median(results.ratios(row, first, other)):.2f})"


def idle_lines(results, servers):
    """Each server with idle connections beside it, to the same server without."""
    for row in results.rows:
        yield [row.title, *(with_idle(results, row, server) for server in servers)]


def with_idle(results, row, server):
    value = results.median(row, (server, "idle"))
    if value is None or results.median(row, (server, "alone")) is None:
        return number(row, value)
    ratio = median(results.ratios(row, (server, "idle"), (server, "alone")))
    return f"{number(row, value)} ({ratio:.2f})"
