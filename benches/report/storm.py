"""What 10,000 clients do to a peer that comes back: a simulation of retry schedules, nothing is measured.

usage: storm.py        prints the table as JSON

Every client has a second of spans ready each second and one request on its way at most. At time 0 the peer dies and
cuts all connections, so everybody fails within 50 ms. It refuses until `outage` is over; then it serves `capacity`
requests a second, holds half a second of them in its backlog, and refuses what comes beyond. What a client has not
delivered when its schedule gives up, or what is older than it keeps, is lost; what has gathered meanwhile travels as
its next request.

The schedules: ours is `src/transport/retry.rs` (full jitter, waits up to 1 s, for as long as `asyncBudget`);
libdatadog's is that of its trace exporter (six attempts, 100 ms doubling, no jitter); OpenTelemetry Java's is
`RetryPolicy.getDefault()` (five attempts, 1 s times 1.5 up to 5 s, a fifth of jitter either way).
"""

import heapq
import json
import random

BUCKET = 0.1


class Ours:
    name = "data-pipeline"
    # A payload is tried for `asyncBudget`, counted from when it was offered.
    FIRST, LONGEST, KEEPS = 0.1, 1.0, 60.0

    def wait(self, attempt, rng):
        """Seconds until the next attempt, or None: given up. `attempt` counts from 1."""
        return rng.random() * min(self.FIRST * 2 ** min(attempt - 1, 16), self.LONGEST)


class Libdatadog:
    name = "libdatadog"
    ATTEMPTS, FIRST, KEEPS = 6, 0.1, float("inf")

    def wait(self, attempt, rng):
        return self.FIRST * 2 ** (attempt - 1) if attempt < self.ATTEMPTS else None


class OpenTelemetry:
    name = "OpenTelemetry Java"
    ATTEMPTS, FIRST, LONGEST, FACTOR, KEEPS = 5, 1.0, 5.0, 1.5, float("inf")

    def wait(self, attempt, rng):
        if attempt >= self.ATTEMPTS:
            return None
        return min(self.FIRST * self.FACTOR ** (attempt - 1), self.LONGEST) * rng.uniform(0.8, 1.2)


SCHEDULES = (Ours(), Libdatadog(), OpenTelemetry())


def simulate(schedule, clients=10_000, outage=30.0, capacity=20_000, seed=20, after=15.0):
    """One run. Gives the requests in each tenth of a second from the peer's death on, and what came of it."""
    rng = random.Random(seed)
    end = outage + after
    requests = [0] * round(end / BUCKET)
    served = [0] * round(end / BUCKET)
    since = [0.0] * clients  # spans from then on are not delivered yet
    taken = [0.0] * clients  # up to then they are in the request that is tried
    attempts = [0] * clients
    back = [None] * clients  # when the first request after the outage was served
    lost = useless = refused = 0
    busy_until = outage
    events = [(rng.random() * 0.05, client) for client in range(clients)]
    heapq.heapify(events)
    while events and events[0][0] < end:
        now, client = heapq.heappop(events)
        if attempts[client] == 0:
            taken[client] = now
        too_old = now - schedule.KEEPS
        if since[client] < too_old:
            lost += too_old - since[client]
            since[client], taken[client] = too_old, max(taken[client], too_old)
        attempts[client] += 1
        requests[int(now / BUCKET)] += 1
        if now >= outage and max(busy_until, now) - now < 0.5:
            busy_until = done = max(busy_until, now) + 1 / capacity
            if done < end:
                served[int(done / BUCKET)] += 1
            back[client] = back[client] or done
            since[client], attempts[client] = taken[client], 0
            heapq.heappush(events, (max(done, taken[client] + 1.0), client))
            continue
        if now < outage:
            useless += 1
        else:
            refused += 1
        wait = schedule.wait(attempts[client], rng)
        if wait is None:
            lost += taken[client] - since[client]
            since[client], attempts[client] = taken[client], 0
            wait = max(0.0, taken[client] + 1.0 - now)
        heapq.heappush(events, (now + wait, client))
    delays = sorted((b if b is not None else end) - outage for b in back)
    return {
        "schedule": schedule.name,
        "clients": clients,
        "outage_s": outage,
        "capacity": capacity,
        "requests": requests,
        "served": served,
        "useless_a_client": round(useless / clients, 2),
        "refused_a_client": round(refused / clients, 2),
        "peak_of_capacity": round(max(requests[round(outage / BUCKET) :]) / BUCKET / capacity, 2),
        "back_half_s": round(delays[len(delays) // 2], 2),
        "back_99_s": round(delays[len(delays) * 99 // 100], 2),
        "lost_s_a_client": round(lost / clients, 2),
    }


def table(**options):
    """All schedules at outages of 2, 30 and 90 s; those of 30 s carry their series."""
    rows = []
    for outage in (2.0, 30.0, 90.0):
        for schedule in SCHEDULES:
            row = simulate(schedule, outage=outage, **options)
            if outage != 30.0:
                del row["requests"], row["served"]
            rows.append(row)
    return rows


if __name__ == "__main__":
    for found in table():
        print(json.dumps({k: v for k, v in found.items() if k not in ("requests", "served")}))
