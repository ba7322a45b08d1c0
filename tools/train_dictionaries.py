#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the dictionaries that stored resources are compressed with (docs/adr/0019) and writes data/dictionaries/bodies.bin.

    tools/train_dictionaries.py build/release/meridian

Needs the zstd command. A dictionary that was released is for ever: bodies name it by its number. So this makes a new
file only when no store depends on the one that is there; better ones get new numbers beside the old.
"""
import pathlib
import random
import subprocess
import sys
import tempfile

# In the order of their numbers, which begin at 1.
TYPES = ["Observation", "MedicationRequest", "Encounter", "Claim", "ExplanationOfBenefit", "Condition", "DiagnosticReport",
         "DocumentReference", "Appointment", "ImagingStudy", "Procedure", "Immunization", "Patient"]
PATIENTS, SEED = 400, 19_770_525  # a region that nobody else loads
SAMPLES_MAX, DICTIONARY_BYTES = 4_000, 16_384


def train(lines, folder, number):
    random.Random(number).shuffle(lines)
    samples = folder / "samples"
    samples.mkdir()
    for index, line in enumerate(lines[:SAMPLES_MAX]):
        (samples / str(index)).write_bytes(line)
    output = folder / "dictionary"
    subprocess.run(["zstd", "-q", "--train", "-r", samples, "-o", output, f"--maxdict={DICTIONARY_BYTES}",
                    f"--dictID={number}"], check=True, stderr=subprocess.DEVNULL)
    return output.read_bytes()


def main():
    program = sys.argv[1]
    target = pathlib.Path(__file__).parent.parent / "data" / "dictionaries" / "bodies.bin"
    with tempfile.TemporaryDirectory() as name:
        region = pathlib.Path(name) / "region"
        subprocess.run([program, "generate", "--patients", str(PATIENTS), "--seed", str(SEED), "--out", region], check=True)
        content = b""
        for number, type_name in enumerate(TYPES, 1):
            lines = (region / f"{type_name}.ndjson").read_bytes().splitlines()
            folder = pathlib.Path(name) / type_name
            folder.mkdir()
            dictionary = train(lines, folder, number)
            content += f"{number} {type_name} {len(dictionary)}\n".encode() + dictionary
            print(f"{type_name}: {len(lines)} samples, {len(dictionary)} bytes")
        target.write_bytes(content)


main()
