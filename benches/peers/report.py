"""What both measurements say about the machine that they ran on, and where they say it."""

import json
import os
import platform
import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path


def note(text):
    print(text, file=sys.stderr, flush=True)


def busy_seconds():
    """Processor time that this machine spent on anything, or had taken away by its host."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = ticks
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def digits(value):
    return f"{value:.3f}" if value < 10 else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def heading():
    """When, on what, and by which command."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def publish(report, markdown, output):
    """Prints the report as Markdown, and writes it as that and as JSON where `output` says."""
    text = markdown(report)
    print(text, end="")
    if output:
        Path(f"{output}.md").write_text(text)
        Path(f"{output}.json").write_text(json.dumps(report, indent=1) + "\n")
