"""A control plane without threads, disk or engine: entries go into a book, the cycle decides."""

from clusterwright.control import fold, orders
from clusterwright.control.book import Book
from clusterwright.control.entries import Entry
from clusterwright.sched import cycle


class Drive:
    """A book that time and orders are put to by hand."""

    def __init__(self, centre, start_s=1000.0):
        self.book = Book()
        self.now_s = start_s
        self.entries = []
        self.wake_s = float("inf")
        self.do(lambda book, now: orders.change_centre(book, centre, now))

    def do(self, order, after_s=0.0):
        """Let time pass, carry an order out, let the scheduler decide; return its entries."""
        self.now_s += after_s + 1e-6
        made = list(order(self.book, self.now_s))
        self.apply(made)
        return made

    def rest(self, for_s):
        """Let time pass; the scheduler looks whenever it asked to, as in the live loop."""
        end_s = self.now_s + for_s
        while self.now_s < self.wake_s < end_s:
            self.now_s = self.wake_s + 1e-6
            self.apply([])
        self.now_s = end_s

    def apply(self, made):
        for entry in made:
            self._take(entry)
        state = self.book.state
        if self.now_s >= self.wake_s:  # as the live loop does
            state.touched.update(dict.fromkeys(state.pools))
        decided = cycle(state, self.book.sched_s(self.now_s))
        self.wake_s = self.book.epoch_s + decided.wake_s
        for event in decided.events:
            self._take(self.book.entry(event), decided=True)

    def _take(self, entry, *, decided=False):
        entry = entry._replace(seq=len(self.entries) + 1)
        fold.apply(self.book, entry, decided=decided)
        self.entries.append(entry)

    def submit(self, spec, after_s=0.0, who="ann"):
        return self.do(lambda book, now: orders.submit(book, spec, now, who), after_s)[0].job

    def begin(self, job):
        """Let the tasks of a job's latest start begin."""
        record = self.book.jobs[job]
        number = len(record.attempts)
        body = {"attempt": number, "started_s": self.now_s}
        self.do(lambda _, now: [Entry(now, "running", job, body=body)])

    def end(self, job, end="completed", after_s=0.0):
        """Let a job's latest start end, and with it the job."""
        number = len(self.book.jobs[job].attempts)
        kind = "finish" if end == "completed" else "cancel"
        body = {"attempt": number, "end": end}
        self.do(
            lambda _, now: [
                Entry(now, "ended", job, body={**body, "ended_s": now}),
                Entry(now, kind, job, body={"cause": end}),
            ],
            after_s,
        )

    def lose(self, node, after_s=0.0):
        """Lose a node with what runs on it."""
        held = [
            record
            for record in self.book.active.values()
            if record.current is not None
            and record.current.released_s is None
            and any(share.node == node for share in record.current.shares)
        ]

        def order(_, now):
            found = []
            for record in held:
                number = len(record.attempts)
                body = {"attempt": number, "end": "node_fail", "ended_s": now}
                found.append(Entry(now, "ended", record.job_id, body=body))
                found.append(Entry(now, "interrupt", record.job_id, body={"cause": "node_fail"}))
            return [*found, Entry(now, "node_fail", node=node)]

        self.do(order, after_s)

    def bring_back(self, node, after_s=0.0):
        self.do(lambda _, now: [Entry(now, "node_repair", node=node)], after_s)
