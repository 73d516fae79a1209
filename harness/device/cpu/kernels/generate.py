#!/usr/bin/env python3
"""Compiles the kernels in C to Go assembly: generate.py FOLDER [WIDE].

FOLDER is the folder of package cpu. With WIDE, the kernels for AVX2 have vectors of 16
floats, each in two registers, for a test of the sources with the vectors of AVX-512.

Needs clang-19, lld-19 and llvm-19 (apt-get install clang-19 lld-19 llvm-19). For each CPU
it writes FOLDER/kernels_CPU.s, the functions as data, for each of its vectors, and
FOLDER/kernels_CPU.go, their addresses and the offsets of the tasks' fields, which the Go
compiler compares with the fields of its structs.

A kernel is compiled and linked at address 0, followed by its constants. It is refused if
it depends on its address, needs too much stack or a C library.
"""
import pathlib, re, struct, subprocess, sys, tempfile

# These, KERNELS and STRUCTS are of package cpu. harness/data/photo/kernels/generate.py sets its own.
HERE = pathlib.Path(__file__).parent
PACKAGE = "cpu"

COMMON = """-O3 -ffreestanding -fno-builtin -fno-stack-protector -fno-asynchronous-unwind-tables -fomit-frame-pointer
	-fno-math-errno -ffp-contract=off -fno-slp-vectorize -fno-jump-tables -fno-ident -fstack-usage -Wall -Werror""".split()
X86 = "--target=x86_64-linux-gnu -mno-red-zone -mprfchw -mfma".split()
ARM = "--target=aarch64-linux-gnu -mno-outline-atomics -mcmodel=tiny -ffixed-x18 -ffixed-x28".split()  # 28: Go's g
AVX512 = "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512".split()
TARGETS = {  # GOARCH: for each vector the end of the functions' names, and flags
	"amd64": {
		"256": [*X86, "-mavx2"], "256bf16": [*X86, "-mavx2", "-DBF16"],
		"512": [*X86, *AVX512], "512bf16": [*X86, *AVX512, "-mavx512bf16", "-DBF16"],
	},
	"arm64": {"128": ARM, "128bf16": [*ARM, "-DBF16"]},
}
KERNELS = {  # file: functions
	"winograd.c": ["winograd", "winogradWeights"],
	"gradweight.c": ["winogradGradWeight", "winogradGradSum"],
	"direct.c": ["direct", "directGradWeight", "pairGradWeight"],
	"norm.c": ["normStatistics", "normApply", "normGradSums", "normGradApply"],
	"pool.c": ["maxPool", "maxPoolGrad", "avgPool", "avgPoolGrad"],
	"flat.c": ["sumRows", "sgd", "peak", "entry"],
}
FLOATS = {"winogradWeights", "winogradGradSum", "sgd", "peak", "entry"}  # those without activations
PAIRS = {"winogradWeights", "pairGradWeight"}  # those that have a form for pairs of bfloat16, with AVX512-BF16
STRUCTS = 12  # number of structs that Go and C share
STACK = 3500  # most bytes of stack of a kernel: call_*.s reserves 4096

# Relocations that do not depend on the address, if that is a multiple of ALIGN.
RELATIVE = {
	*"R_X86_64_PC32 R_X86_64_PLT32".split(),
	*"R_AARCH64_LD_PREL_LO19 R_AARCH64_ADR_PREL_LO21 R_AARCH64_CALL26 R_AARCH64_JUMP26".split(),
}
ALIGN = {"256": 32, "512": 64, "128": 16}  # alignment of functions: PCALIGN below, else that of Go's linker

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


def kernel(obj, name, align):
	"""Returns the machine code and constants of a function, and its stack in bytes."""
	tmp = obj.parent
	elf, raw = tmp / "k.elf", tmp / "k.bin"
	(tmp / "script").write_text(SCRIPT % name)
	run("ld.lld-19", "-T", tmp / "script", "--gc-sections", "-e", name, "--orphan-handling=error", obj, "-o", elf)
	for kind in re.findall(r"^\s+0x\w+ (R_\w+)", run("llvm-readobj-19", "-r", obj), re.M):
		refuse(f"{name}: {kind} depends on the address", kind not in RELATIVE)
	for section, needs in re.findall(r"^\s*\[ *\d+\] (\S+).* (\d+)$", run("llvm-readelf-19", "-SW", elf), re.M):
		refuse(f"{name}: constants need {needs} bytes", section == ".text" and int(needs) > align)
	refuse(f"{name} does not come first", not re.search(rf"^0+ T {name}$", run("llvm-nm-19", elf), re.M))
	calls = re.search(r"\t(call|callq|bl|blr)\t", run("llvm-objdump-19", "-d", "--no-show-raw-insn", elf))
	refuse(f"{name} calls a function", calls)
	size, kind = re.search(rf":{name}\t(\d+)\t(\w+)", (tmp / "k.su").read_text()).groups()
	refuse(f"{name}: {size} bytes of stack, {kind}", kind != "static" or int(size) > STACK)
	run("llvm-objcopy-19", "-O", "binary", "-j", ".text", elf, raw)
	return raw.read_bytes(), int(size)


def text(name, code, stack, arch, align):
	"""Returns a function as data in Go assembly, 32 bytes in a line."""
	code += bytes(-len(code) % 8)
	eight = "QUAD" if arch == "amd64" else "DWORD"
	words = [f"{eight} $0x{w:016x}" for w, in struct.iter_unpack("<Q", code)]
	lines = ["\t" + "; ".join(words[i : i + 4]) for i in range(0, len(words), 4)]
	if align > 32:
		lines.insert(0, f"\tPCALIGN ${align}")
	return "\n".join([f"\n// func {name}(): {stack} bytes of stack", f"TEXT ·{name}(SB), NOSPLIT|NOFRAME, $0-0", *lines]) + "\n"


def tasks(flags):
	"""Returns the structs of all kernels: {name: ([(offset, field), ...], size)}."""
	structs = {}
	for source in KERNELS:
		dump = run("clang-19", *flags, "-ffreestanding", "-fsyntax-only", "-Xclang", "-fdump-record-layouts-complete", HERE / source)
		for name, body, size in re.findall(r" 0 \| struct (share|\w+(?:Task|Part))\n((?:.*\n)+?) +\| \[sizeof=(\d+)", dump):
			structs[name] = re.findall(r"^ +(\d+) \|.* (\w+)$", body, re.M), size
	refuse(f"found {len(structs)} structs in clang's output, expected {STRUCTS}", len(structs) != STRUCTS)
	return structs


def functions(bits, source=None):
	"""Returns the names of the functions of a source, or of all, for one kind of vector."""
	names = KERNELS[source] if source else [name for names in KERNELS.values() for name in names]
	if bits == "512bf16":
		absent = FLOATS - PAIRS
	else:
		absent = FLOATS | PAIRS if bits.endswith("bf16") else PAIRS - FLOATS
	return [name for name in names if name not in absent]


def go(head, vectors, structs):
	"""Returns the Go file: declarations, addresses, and checks of the structs."""
	lines = [head, "", f"package {PACKAGE}", "", 'import "unsafe"', ""]
	lines += [f"func {name}{bits}()" for bits in vectors for name in functions(bits)]
	lines += ["", "// Addresses of the functions."]
	lines += [f"var at{name}{bits} uintptr" for bits in vectors for name in functions(bits)]
	for bits in vectors:
		lines += ["", f"var kernels{bits} = kernels{{", *(f"\t{name}: at{name}{bits}," for name in functions(bits)), "}"]
	lines += ["", "// Offsets of the fields of tasks in C. Another offset in Go is an index out of range, which the", "// compiler reports."]
	for name, (fields, size) in structs.items():
		lines += ["", f"var _ = [1]int{{}}[unsafe.Sizeof({name}{{}})-{size}]"]
		lines += [f"var _ = [1]int{{}}[unsafe.Offsetof({name}{{}}.{field})-{offset}]" for offset, field in fields]
	return subprocess.run("gofmt", input="\n".join(lines) + "\n", check=True, stdout=subprocess.PIPE, text=True).stdout


def assembly(arch, bits, flags):
	"""Returns the functions for one kind of vector, and their addresses."""
	code, addresses, align = "", "", ALIGN[bits.removesuffix("bf16")]
	for source in KERNELS:
		with tempfile.TemporaryDirectory() as tmp:
			obj = pathlib.Path(tmp) / "k.o"
			run("clang-19", *COMMON, *flags, "-ffunction-sections", "-c", HERE / source, "-o", obj)
			for name in functions(bits, source):
				body, stack = kernel(obj, name, align)
				code += text(name + bits, body, stack, arch, align)
				addresses += f"\nDATA ·at{name}{bits}(SB)/8, $·{name}{bits}(SB)\nGLOBL ·at{name}{bits}(SB), RODATA, $8\n"
				print(f"{name}{bits}: {len(body)} bytes, {stack} of stack")
	return code + addresses


def main(folder, *defined):
	version = run("clang-19", "--version").split("\n")[0]
	head = f"// Code generated by kernels/generate.py with {version}. DO NOT EDIT."
	defined = [*(f"-D{name}" for name in defined), "-Wno-psabi"]
	for arch, vectors in TARGETS.items():
		code = [assembly(arch, bits, [*flags, *defined]) for bits, flags in vectors.items()]
		(folder / f"kernels_{arch}.s").write_text(f'{head}\n\n#include "textflag.h"\n' + "".join(code))
		structs = tasks([*next(iter(vectors.values())), *defined])
		(folder / f"kernels_{arch}.go").write_text(go(head, vectors, structs))


if __name__ == "__main__":
	main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
