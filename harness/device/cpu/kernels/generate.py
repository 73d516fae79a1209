#!/usr/bin/env python3
"""Turns the C kernels into Go assembly: generate.py FOLDER, the one of package cpu.
With a second word, WIDE, those for AVX2 have vectors of 16, each in two registers: a
test of what AVX-512 would compute.

Needs clang-19, lld-19 and llvm-19 (apt-get install clang-19 lld-19 llvm-19). For
each kind of CPU it writes FOLDER/kernels_CPU.s, the functions as data, and
FOLDER/kernels_CPU.go, their addresses and the offsets of the tasks' fields, which
the Go compiler compares with those of its structs.

A kernel is compiled and linked at address 0, with the constants that it reads
right after it. What would not run anywhere in memory, on any stack, without a C
library, is refused.
"""
import pathlib, re, struct, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).parent
COMMON = """-O3 -ffreestanding -fno-builtin -fno-stack-protector -fno-asynchronous-unwind-tables -fomit-frame-pointer
	-fno-math-errno -ffp-contract=off -fno-slp-vectorize -fno-jump-tables -fno-ident -fstack-usage -Wall -Werror""".split()
X86 = "--target=x86_64-linux-gnu -mno-red-zone -mprfchw -mfma".split()
ARM = "--target=aarch64-linux-gnu -mno-outline-atomics -mcmodel=tiny -ffixed-x18 -ffixed-x28".split()  # 28: Go's g
TARGETS = {  # the CPU, as Go calls it: bits of a vector, flags
	"amd64": ("256", [*X86, "-mavx2"]),
	"arm64": ("128", ARM),
}
KERNELS = {  # file: its functions
	"winograd.c": ["winograd", "winogradWeights"],
	"gradweight.c": ["winogradGradWeight", "winogradGradSum"],
	"direct.c": ["direct", "directGradWeight"],
	"norm.c": ["normStatistics", "normApply", "normGradSums", "normGradApply"],
	"pool.c": ["maxPool", "maxPoolGrad", "avgPool", "avgPoolGrad"],
	"flat.c": ["sumRows", "sgd", "peak"],
}
STRUCTS = 10  # that Go and C share
STACK = 3500  # bytes of a kernel, at most: call_*.s finds room for 4096

# Relative to where they stand: the code may lie at any multiple of ALIGN.
RELATIVE = {
	*"R_X86_64_PC32 R_X86_64_PLT32".split(),
	*"R_AARCH64_LD_PREL_LO19 R_AARCH64_ADR_PREL_LO21 R_AARCH64_CALL26 R_AARCH64_JUMP26".split(),
}
ALIGN = {"amd64": 32, "arm64": 16}  # of functions, by Go's linker

SCRIPT = """SECTIONS {
	. = 0;
	.text : { *(.text.%s) *(.text.*) *(.rodata*) }
	.symtab : { *(.symtab) } .strtab : { *(.strtab) } .shstrtab : { *(.shstrtab) }
	/DISCARD/ : { *(.comment) *(.note*) *(.llvm_addrsig) }
}"""


def run(*args):
	return subprocess.run([str(a) for a in args], check=True, stdout=subprocess.PIPE, text=True).stdout


def refuse(reason, if_):
	if if_:
		sys.exit(f"generate.py: {reason}")


def kernel(tmp, source, name, flags, arch):
	"""Gives the machine code and constants of a function, and its stack in bytes."""
	obj, elf, raw = tmp / "k.o", tmp / "k.elf", tmp / "k.bin"
	run("clang-19", *COMMON, *flags, "-ffunction-sections", "-c", HERE / source, "-o", obj)
	(tmp / "script").write_text(SCRIPT % name)
	run("ld.lld-19", "-T", tmp / "script", "--gc-sections", "-e", name, "--orphan-handling=error", obj, "-o", elf)
	for kind in re.findall(r"^\s+0x\w+ (R_\w+)", run("llvm-readobj-19", "-r", obj), re.M):
		refuse(f"{name}: {kind} depends on the address", kind not in RELATIVE)
	for section, align in re.findall(r"^\s*\[ *\d+\] (\S+).* (\d+)$", run("llvm-readelf-19", "-SW", elf), re.M):
		refuse(f"{name}: constants need {align} bytes", section == ".text" and int(align) > ALIGN[arch])
	refuse(f"{name} does not come first", not re.search(rf"^0+ T {name}$", run("llvm-nm-19", elf), re.M))
	calls = re.search(r"\t(call|callq|bl|blr)\t", run("llvm-objdump-19", "-d", "--no-show-raw-insn", elf))
	refuse(f"{name} calls a function", calls)
	size, kind = re.search(rf":{name}\t(\d+)\t(\w+)", (tmp / "k.su").read_text()).groups()
	refuse(f"{name}: {size} bytes of stack, {kind}", kind != "static" or int(size) > STACK)
	run("llvm-objcopy-19", "-O", "binary", "-j", ".text", elf, raw)
	return raw.read_bytes(), int(size)


def text(name, code, stack, arch):
	"""Writes a function as data, 32 bytes a line."""
	code += bytes(-len(code) % 8)
	eight = "QUAD" if arch == "amd64" else "DWORD"
	words = [f"{eight} $0x{w:016x}" for w, in struct.iter_unpack("<Q", code)]
	lines = ["\t" + "; ".join(words[i : i + 4]) for i in range(0, len(words), 4)]
	return "\n".join([f"\n// func {name}(): {stack} bytes of stack", f"TEXT ·{name}(SB), NOSPLIT|NOFRAME, $0-0", *lines]) + "\n"


def tasks(flags):
	"""Gives the structs of all kernels: {name: ([(field, offset), ...], size)}."""
	structs = {}
	for source in KERNELS:
		dump = run("clang-19", *flags, "-ffreestanding", "-fsyntax-only", "-Xclang", "-fdump-record-layouts-complete", HERE / source)
		for name, body, size in re.findall(r" 0 \| struct (\w+(?:Task|Part))\n((?:.*\n)+?) +\| \[sizeof=(\d+)", dump):
			structs[name] = re.findall(r"^ +(\d+) \|.* (\w+)$", body, re.M), size
	refuse("clang writes the layout of structs in another form", len(structs) != STRUCTS)
	return structs


def go(head, bits, names, structs):
	"""Writes the declarations, and what the Go compiler checks."""
	lines = [head, "", "package cpu", "", 'import "unsafe"', ""]
	lines += [f"func {name}{bits}()" for name in names]
	lines += ["", "// Their addresses."]
	lines += [f"var at{name}{bits} uintptr" for name in names]
	lines += ["", f"var kernels{bits} = kernels{{", *(f"\t{name}: at{name}{bits}," for name in names), "}"]
	lines += ["", "// Where they find the fields of their tasks. A difference is an index out of range."]
	for name, (fields, size) in structs.items():
		lines += ["", f"var _ = [1]int{{}}[unsafe.Sizeof({name}{{}})-{size}]"]
		lines += [f"var _ = [1]int{{}}[unsafe.Offsetof({name}{{}}.{field})-{offset}]" for offset, field in fields]
	return subprocess.run("gofmt", input="\n".join(lines) + "\n", check=True, stdout=subprocess.PIPE, text=True).stdout


def main(folder, *defined):
	version = run("clang-19", "--version").split("\n")[0]
	head = f"// Code generated by kernels/generate.py with {version}. DO NOT EDIT."
	for arch, (bits, flags) in TARGETS.items():
		flags = [*flags, *(f"-D{name}" for name in defined), "-Wno-psabi"]
		assembly, names = f'{head}\n\n#include "textflag.h"\n', []
		for source, functions in KERNELS.items():
			for name in functions:
				with tempfile.TemporaryDirectory() as tmp:
					code, stack = kernel(pathlib.Path(tmp), source, name, flags, arch)
				names.append(name)
				assembly += text(name + bits, code, stack, arch)
				print(f"{name}{bits}: {len(code)} bytes, {stack} of stack")
		for name in names:
			assembly += f"\nDATA ·at{name}{bits}(SB)/8, $·{name}{bits}(SB)\nGLOBL ·at{name}{bits}(SB), RODATA, $8\n"
		(folder / f"kernels_{arch}.s").write_text(assembly)
		(folder / f"kernels_{arch}.go").write_text(go(head, bits, names, tasks(flags)))


main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
