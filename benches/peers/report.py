"""What the report is made of: tables in Markdown, means of ratios, the machine."""

import math
import os
import platform
import statistics


class Report:
    """Prints a report as it comes about, and keeps it to be saved."""

    def __init__(self):
        self.lines = []

    def say(self, line=""):
        print(line, flush=True)
        self.lines.append(line)

    def heading(self, text, *notes):
        self.say(f"\n## {text}\n")
        for note in notes:
            self.say(note)
        if notes:
            self.say()

    def header(self, *cells):
        self.row(*cells)
        self.row("---", *["--:" for _ in cells[1:]])

    def row(self, *cells):
        self.say("| " + " | ".join(cells) + " |")

    def text(self):
        return "\n".join(self.lines) + "\n"


def seconds(value):
    """Three significant digits or so."""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def gigabytes(size, time):
    return f"{size / time / 1e9:.2f}"


def mebibytes(size):
    return f"{size / 2**20:.1f}" if size < 2**30 else f"{size / 2**20:.0f}"


def median(times):
    return statistics.median(times)


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def machine():
    """The processor, its vector units, the number of cores, the memory and the kernel."""
    model, flags = platform.processor() or platform.machine(), ""
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            facts = dict(line.split(":", 1) for line in cpuinfo if ":" in line)
        facts = {key.strip(): value.strip() for key, value in facts.items()}
        model = facts.get("model name", model)
        flags = next(
            (
                f" ({name})"
                for flag, name in [("avx512bw", "AVX-512"), ("avx2", "AVX2")]
                if flag in facts.get("flags", "").split()
            ),
            "",
        )
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}{flags}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"
