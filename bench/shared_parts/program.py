"""A program under test: what is the same for all."""

import subprocess


def stop(process, patience):
    """Ends it, by force when it does not within so many seconds."""
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def first_line(*command):
    """What it prints of its version."""
    try:
        out = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "not installed"
    return ((out.stdout + out.stderr).strip().splitlines() or ["?"])[0]
