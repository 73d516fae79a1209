#!/usr/bin/env python3
"""Compiles resize.c to Go assembly: generate.py FOLDER, the folder of package photo.

harness/device/cpu/kernels/generate.py does it, and says what it needs.
"""
import pathlib, sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[2] / "device/cpu/kernels"))
import generate

generate.HERE, generate.PACKAGE = HERE, "photo"
generate.KERNELS = {"resize.c": ["across", "down", "split"]}
generate.STRUCTS = 3  # one task each
generate.TARGETS = {"amd64": {"256": generate.TARGETS["amd64"]["256"]}, "arm64": {"128": generate.TARGETS["arm64"]["128"]}}
generate.main(pathlib.Path(sys.argv[1]))
