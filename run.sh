#!/usr/bin/env bash
# Depthlab. Usage: ./run.sh experiments/plain_vs_res.yaml, or ./run.sh --help
# Needs bash and Go; builds the program, fetches the libraries that it needs once, runs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export DEPTHLAB_ROOT=$here CGO_ENABLED=0

need_go() {
	if ! command -v go >/dev/null; then
		echo "run.sh: Go is missing; install Go 1.25 or newer (https://go.dev/dl, or your system's golang package) and run this again" >&2
		exit 1
	fi
	local have
	have=$(go env GOVERSION)
	if [[ $have =~ ^go([0-9]+)\.([0-9]+) ]] && [ $((BASH_REMATCH[1] * 1000 + BASH_REMATCH[2])) -lt 1025 ]; then
		echo "run.sh: Go is ${have#go}, but 1.25 or newer is needed (https://go.dev/dl)" >&2
		exit 1
	fi
}

build() {
	local version=unknown made
	local git=(git -c "safe.directory=$here" -C "$here") # of another user's checkout, too
	if "${git[@]}" rev-parse --git-dir >/dev/null 2>&1; then
		version=$("${git[@]}" describe --always --dirty 2>/dev/null || echo unknown)
	fi
	# What the program is made of, by the sum of each file: go build would find
	# out by itself, but takes longer for that, and needs Go.
	made=$(cd "$here" && find experiments harness nets plots go.mod go.sum -type f -exec cksum {} + 2>/dev/null | LC_ALL=C sort | cksum) || made="unknown $$"
	made="$version $made"
	[ -x "$here/.bin/lab" ] && [ "$made" = "$(cat "$here/.bin/made" 2>/dev/null)" ] && return
	if [ -x "$here/.bin/lab" ] && [ ! -w "$here/.bin" ]; then
		echo "run.sh: the sources changed since $here/.bin/lab was built, and you may not write there: who built it has to start run.sh once, or make a copy of the folder of your own" >&2
		exit 1
	fi
	need_go
	[ -x "$here/.bin/lab" ] || echo "building the program (a minute or two the first time)" >&2
	rm -f "$here/.bin/made"
	(cd "$here" && go build -buildvcs=false -ldflags "-X main.version=$version" -o .bin/lab ./harness/cmd/lab)
	echo "$made" >"$here/.bin/made"
}

# The program opens libraries, and so is started by glibc's loader.
start() {
	shopt -s execfail
	exec "$here/.bin/lab" "$@" || {
		echo "run.sh: $here/.bin/lab does not start on this machine, $(uname -sm). It needs the loader of glibc, on x86-64 /lib64/ld-linux-x86-64.so.2: Debian, Ubuntu, Fedora and their like have it, Alpine has not. If it was built for another machine, remove .bin and run this again." >&2
		exit 126
	}
}

# fetch NAME FOLDER REQUIREMENTS OPTIONS: wheels from PyPI, pinned by hash,
# unpacked side by side into .lib/FOLDER, which is whole or absent.
fetch() {
	local name=$1 to=$here/.lib/$2 wheels=$here/.lib/wheels/$2 tmp
	if [ "$(uname -sm)" != "Linux x86_64" ] || ! command -v python3 >/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
		return # lab says what it costs and how to mend it
	fi
	if [ -n "${no_download:-}" ]; then
		echo "run.sh: $name is missing, and --no-download forbids to fetch it" >&2
		return
	fi
	echo "fetching $name into .lib/$2" >&2
	mkdir -p "$wheels" "$(dirname "$to")"
	tmp=$(mktemp -d "$here/.lib/fetch.XXXXXX")
	mkdir "$tmp/whole"
	# What an interrupted fetch brought stays in .lib/wheels and is not fetched again.
	if python3 -m pip download --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes --find-links "$wheels" -r "$3" -d "$wheels" "${@:4}" >&2 &&
		unpack "$wheels" "$tmp/whole"; then
		rm -rf "$to" && mv "$tmp/whole" "$to" && rm -rf "$wheels"
	else
		echo "run.sh: $name could not be fetched" >&2
	fi
	rm -rf "$tmp"
}

unpack() {
	local wheel
	for wheel in "$1"/*.whl; do
		python3 -m zipfile -e "$wheel" "$2" || return 1
	done
	# zipfile forgets which files are programs.
	find "$2" -path '*/bin/*' -type f -exec chmod +x {} +
}

# The wheel onednn-cpu-gomp holds one library, libdnnl.so.3; it needs libgomp.
# Looked for first: $DEPTHLAB_ONEDNN, .lib, and the system's own library.
onednn() {
	[ -n "${DEPTHLAB_ONEDNN:-}" ] && return
	[ -n "$(find "$here/.lib/onednn" -name 'libdnnl.so.3*' -print -quit 2>/dev/null)" ] && return
	ldconfig -p 2>/dev/null | grep -q 'libdnnl\.so\.3 ' && return
	fetch "oneDNN (39 MB)" onednn "$here/harness/device/onednn/wheels/cpu.txt"
}

# The wheel turbojpeg holds libturbojpeg.so.0 of libjpeg-turbo 3; the library
# itself needs no Python.
turbojpeg() {
	[ -n "${DEPTHLAB_TURBOJPEG:-}" ] && return
	[ -n "$(find "$here/.lib/turbojpeg" -name 'libturbojpeg*' -print -quit 2>/dev/null)" ] && return
	fetch "libjpeg-turbo (0.6 MB)" turbojpeg "$here/harness/data/photo/wheels/turbojpeg.txt" --python-version 3.11 --implementation cp --abi cp311 --platform manylinux2014_x86_64
}

pinned=$here/harness/device/xla/wheels

# driver prints the major version of the NVIDIA driver, 0 for none. Not every
# container shows the kernel's file.
driver() {
	local text
	text=$({ cat /proc/driver/nvidia/version || echo " $(nvidia-smi --query-gpu=driver_version --format=csv,noheader)"; } 2>/dev/null)
	[[ $text =~ \ ([0-9]+)\.[0-9]+ ]] && echo "${BASH_REMATCH[1]}" || echo 0
}

# A plugin of XLA for what is here: an NVIDIA GPU, or for tests the CPU.
xla() {
	[ -n "${DEPTHLAB_PJRT:-}" ] && return
	if [ "$(driver)" -gt 0 ]; then
		local cuda=cuda13 size="3.5 GB" usable="xla_cuda13 xla_cuda12"
		[ "$(driver)" -ge 525 ] || return 0 # lab says what is needed
		[ "$(driver)" -ge 580 ] || { cuda=cuda12 size="5.2 GB" usable=xla_cuda12; }
		[ -e "$here/.lib/pjrt/$cuda/nvidia/cudnn" ] && return
		python3 -c 'import importlib.util as u, sys; sys.exit(not any(u.find_spec("jax_plugins." + p) for p in sys.argv[1:]))' $usable 2>/dev/null && return
		fetch "XLA's CUDA plugin, cuDNN and their like ($size when unpacked)" "pjrt/$cuda" "$pinned/$cuda.txt"
	else
		xla_cpu
	fi
}

xla_cpu() {
	[ -d "$here/.lib/pjrt/cpu" ] || fetch "XLA's CPU plugin (61 MB)" pjrt/cpu "$pinned/cpu.txt"
}

# What compiles for a GPU that is not there.
xla_compile() {
	[ -d "$here/.lib/pjrt/cuda13" ] || fetch "XLA's CUDA plugin and its compiler (245 MB)" pjrt/cuda13 "$pinned/compile.txt"
}

# Everything that is checked; "test -short" leaves out what takes long.
tests() {
	need_go
	onednn
	turbojpeg
	xla_cpu
	xla_compile
	cd "$here"
	local unformatted
	unformatted=$(gofmt -l experiments harness nets plots)
	[ -z "$unformatted" ] || { echo "not gofmt-ed: $unformatted" >&2; exit 1; }
	go vet -tags nightly ./...
	go test -timeout 30m "$@" ./...
}

# --no-download, anywhere on the line, is for this script alone.
args=()
for a in "$@"; do
	if [ "$a" = --no-download ]; then no_download=1; else args+=("$a"); fi
done
set -- ${args[@]+"${args[@]}"}

case ${1:-} in
test)
	shift
	tests "$@"
	;;
*)
	build
	case ${1:-} in
	*.yaml | *.yml | run | plan | eval | step | bench)
		onednn
		[ "$(driver)" -eq 0 ] || xla
		;;
	doctor) onednn ;;
	esac
	# Questions about photos, and what names a folder of them.
	if [[ " $* " == *" --crops"* || " $* " == *" --loader"* ]] || { [ $# -gt 0 ] && grep -qs '^ *data: *imagenet' -- "$@"; }; then
		turbojpeg
	fi
	case "$* " in
	"explain "*"--for"*) xla_compile ;;
	"gpu-check "*) xla ;;
	*" --device xla "* | *" --device=xla "*) xla ;;
	esac
	start "$@"
	;;
esac
