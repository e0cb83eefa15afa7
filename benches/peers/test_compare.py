"""The harness against engines that pretend: python -m unittest, in this folder, with numpy alone."""

import argparse
import tempfile
import unittest
from pathlib import Path

import numpy

import compare
from engines import CPU, ENGINES, Engine, Process

BATCH = 2
FAULTS = ["stale", "off", "nan", "refuses", "dies", "hangs", "spins"]


class Faults(unittest.TestCase):
    """One case with a good engine and one of each fault; what the table says of them."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        work = Path(folder.name)
        logits = numpy.random.default_rng(0).normal(size=(2 * BATCH, 10))
        numpy.save(work / "logits.npy", logits)
        for first in (0, BATCH):
            numbers = numpy.arange(first, first + BATCH, dtype=numpy.float32)
            numpy.broadcast_to(numbers[:, None, None, None], (BATCH, 3, 4, 4)).tofile(work / f"{first}.f32")
        inputs = [str(work / f"{first}.f32") for first in (0, BATCH)]
        answers = str(work / "logits.npy")
        prepared = {"weights": answers, "ncnn": "", "logits": answers, str(BATCH): {"onnx": "", "inputs": inputs}}
        options = argparse.Namespace(size=4, work=work, rounds=3, runs=5, warm_up=1, turn_seconds=2, settle=0.05)
        processes = []
        for fault in ["good", *FAULTS]:
            ENGINES[fault] = Engine((CPU,), "pretending", (fault,))
            # A busy machine takes its time to start Python; the one that hangs is given up on either way.
            patience = 20 if fault == "hangs" else 600
            processes.append(Process(fault, {}, 1, work / f"{fault}.log", patience))
            cls.addClassCleanup(processes[-1].stop)
        rows = [compare.Row(process, "cpu, 1 thread") for process in processes]
        case = {"model": "pretending", "batch": BATCH}
        others = compare.run_case(rows, case, prepared, None, options)
        figures = [row.figures(case, rows[0]) for row in rows]
        cls.rows = {row["engine"]: row for row in figures}
        report = {"date": "", "processor": "", "command": "", "other_cpus": [others], "unbuilt": [], "rows": figures}
        cls.table = compare.markdown(report)

    def test_a_good_engine_has_all_its_figures(self):
        row = self.rows["good"]
        self.assertIsNone(row["failure"])
        self.assertEqual(len(row["times_ms"]), 15)
        self.assertGreaterEqual(row["min_ms"], 2)
        self.assertEqual(row["median_ratio"], 1)
        self.assertLess(row["logits_off"], 1e-6)
        self.assertLess(row["idle_cpus"], 0.02)
        self.assertFalse(compare.wrong(row))

    def test_a_result_kept_from_an_earlier_input_is_wrong(self):
        self.assertTrue(compare.wrong(self.rows["stale"]))

    def test_logits_off_by_a_hundredth_are_wrong(self):
        self.assertTrue(compare.wrong(self.rows["off"]))
        self.assertAlmostEqual(self.rows["off"]["logits_off"], 0.01, places=5)

    def test_logits_that_are_no_numbers_are_wrong(self):
        self.assertTrue(compare.wrong(self.rows["nan"]))

    def test_failures_say_why_and_leave_the_others_alone(self):
        self.assertIn("no such operator", self.rows["refuses"]["failure"])
        self.assertIn("code 3", self.rows["dies"]["failure"])
        self.assertIn("no answer in 20 s", self.rows["hangs"]["failure"])
        for fault in ("refuses", "dies", "hangs"):
            self.assertIn(f"- {fault} did not run", self.table)

    def test_an_engine_that_spins_is_named(self):
        self.assertGreater(self.rows["spins"]["idle_cpus"], 0.02)
        self.assertIn("Not idle while others ran: spins.", self.table)


if __name__ == "__main__":
    unittest.main()
