"""The short form of `make report`, part of `make test`: the simulation, and the pages against what they are made of.

usage: test_report.py        from the project's root; needs nothing but Python
"""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import page  # noqa: E402
import storm  # noqa: E402
import views  # noqa: E402


def small(schedule, outage, **more):
    return storm.simulate(schedule, clients=300, capacity=600, outage=outage, **more)


class Simulation(unittest.TestCase):
    def test_the_simulated_schedule_is_the_one_of_the_crate(self):
        source = open("src/transport/retry.rs").read()
        millis = {}
        for constant, number, unit in re.findall(r"const (\w+): Duration = Duration::from_(\d*\w+)\((\d+)\)", source):
            millis[constant] = int(unit) * (1000 if number == "secs" else 1)
        self.assertEqual(millis["FIRST_WAIT"], storm.Ours.FIRST * 1000)
        self.assertEqual(millis["LONGEST_WAIT"], storm.Ours.LONGEST * 1000)
        budget = re.search(r'name = "asyncBudget".*?default = "(\d+) s"', open("src/settings/table.toml").read(), re.S)
        self.assertEqual(int(budget[1]), storm.Ours.KEEPS)

    def test_the_same_seed_gives_the_same_run(self):
        self.assertEqual(small(storm.Ours(), 5.0), small(storm.Ours(), 5.0))
        self.assertNotEqual(small(storm.Ours(), 5.0), small(storm.Ours(), 5.0, seed=21))

    def test_nothing_of_ours_is_lost_within_the_budget_and_what_is_older_is(self):
        self.assertEqual(small(storm.Ours(), 30.0)["lost_s_a_client"], 0)
        lost = small(storm.Ours(), 90.0)["lost_s_a_client"]
        self.assertTrue(29 < lost < 32, lost)

    def test_six_attempts_without_jitter_lose_a_long_outage_and_come_in_step(self):
        theirs, ours = small(storm.Libdatadog(), 30.0), small(storm.Ours(), 30.0)
        self.assertGreater(theirs["lost_s_a_client"], 20)
        self.assertGreater(theirs["peak_of_capacity"], 3 * ours["peak_of_capacity"])

    def test_no_more_is_served_than_the_peer_can_and_nothing_while_it_is_away(self):
        for schedule in storm.SCHEDULES:
            run = small(schedule, 5.0)
            self.assertEqual(sum(run["served"][:50]), 0)
            self.assertLessEqual(max(run["served"]), 600 * storm.BUCKET + 1)
            self.assertGreater(sum(run["served"]), 300)

    def test_a_peer_that_can_serve_half_refuses_and_recovers_all_the_same(self):
        run = storm.simulate(storm.Libdatadog(), clients=300, capacity=320, outage=2.0, after=30.0)
        self.assertGreater(run["refused_a_client"], 0)
        self.assertLess(run["back_99_s"], 30)


RESULTS = {
    "quick": True,
    "left_out": ["a peer: not fetched"],
    "plots": ["stages"],
    "versions": {"data-pipeline": "0.1.0"},
    "facts": {
        "date": "2026-01-01",
        "commit": "abc",
        "minutes": 1,
        "cpu": "one",
        "cores": 2,
        "memory_gb": 8,
        "kernel": "k",
        "rustc": "r",
        "java": "j",
        "load": "0.1",
        "busy": False,
    },
    "rows": [
        {
            "name": "sql",
            "payload": "sql",
            "unit": "ns",
            "ours": 120,
            "opponent_name": "libdd",
            "opponent": 90,
            "ratio": 0.75,
            "allocations": 0,
        },
        {
            "name": "send_tcp",
            "payload": "web_1x1",
            "unit": "us",
            "ours": 40,
            "opponent_name": "raw_post",
            "opponent": 30,
            "ratio": 0.75,
            "allocations": None,
        },
        {
            "name": "redis",
            "payload": "redis",
            "unit": "ns",
            "ours": 10,
            "opponent_name": "libdd",
            "opponent": 30,
            "ratio": 3,
            "allocations": 0,
        },
    ],
    "views": [
        {"row": "export", "who": "ours_otel", "spans": 10, "median_us": 50.0},
        {"row": "export", "who": "otlp_jdk", "spans": 10, "median_us": 40.0},
        {"row": "export", "who": "otlp_okhttp", "spans": 10, "median_us": 60.0},
        {"row": "send", "who": "ours", "spans": 10, "median_us": 50.0, "p999_us": 90.0, "samples": 100},
        {"row": "send", "who": "raw_socket", "spans": 10, "median_us": 10.0},
        {"row": "send", "who": "dd_trace_java", "spans": 10, "median_us": 900.0, "p999_us": 80.0, "samples": 100},
    ],
    "losses": [{"who": "ours", "down_s": 2, "offered": 10, "arrived": 10, "lost": 0}],
    "storm": [],
    "sizes": {},
}


class Pages(unittest.TestCase):
    def test_a_figure_in_which_a_peer_is_better_stands_in_bold_above_all_plots(self):
        text = page.markdown(RESULTS)
        top = text[: text.index("## ")]
        self.assertIn("**We lose in 2 figures:**", top)
        self.assertIn("**`sql` (sql): 120 ns against 90 of libdatadog**", top)
        self.assertIn("- **`export` (10 spans): 50 µs an export, median against 40 of OTLP over the JDK's client", top)

    def test_floors_are_no_peers_and_tails_of_few_samples_say_nothing(self):
        said = " ".join(views.losses(RESULTS))
        self.assertNotIn("send", said)
        self.assertNotIn("redis", said)

    def test_markdown_and_html_say_the_same(self):
        plain = re.sub(r"<[^>]+>", "", page.page(RESULTS).split("</style>")[1])
        for words in ("We lose in 2 figures", "libdatadog", "a peer: not fetched", "commit abc"):
            self.assertIn(words, plain)
            self.assertIn(words, page.markdown(RESULTS).replace("`", ""))

    def test_the_committed_pages_are_made_of_results_json(self):
        with open("docs/report/results.json") as file:
            results = json.load(file)
        with open("docs/report/index.md") as file:
            self.assertEqual(file.read(), page.markdown(results))
        with open("docs/report/index.html") as file:
            self.assertEqual(file.read(), page.page(results))
        for plot in results["plots"]:
            self.assertTrue(os.path.exists(f"docs/report/{plot}.svg"), plot)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=0)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    print(f"report: {result.testsRun} passed")
