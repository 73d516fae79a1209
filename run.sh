#!/usr/bin/env bash
# Depthlab. Usage: ./run.sh experiments/plain_vs_res.yaml, or ./run.sh --help
# Builds the program, fetches the libraries that it needs, once, and runs it. Needs bash and Go.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
# The build does not depend on the user's variables, except proxies, caches and the toolchain.
unset CDPATH GOOS GOARCH GOFLAGS GOEXPERIMENT
export GOWORK=off CGO_ENABLED=0
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
	to=$(readlink "$self")
	case $to in /*) self=$to ;; *) self=$(dirname -- "$self")/$to ;; esac
done
here=$(cd -- "$(dirname -- "$self")" && pwd)
export DEPTHLAB_ROOT=$here
bin=$here/.bin/$(uname -s)-$(uname -m) # machines of several kinds may share the folder

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

# once HAS COMMAND ...: runs COMMAND unless HAS succeeds, under a lock: no other start of run.sh
# in this folder runs one at the same time, on this machine or on another that shares the folder.
# The lock is a folder. Its holder changes the file in it every few seconds; if the file does not
# change for a minute, the holder is dead.
once() {
	local has=$1 lock=$here/.bin/lock words beat seen="" since=$SECONDS told="" misses=0
	shift
	words=$(mkdir -p "$here/.bin" 2>&1) || { echo "run.sh: $words" >&2; exit 1; }
	until words=$(mkdir "$lock" 2>&1); do
		if [ ! -e "$lock" ]; then # it was released just now, or cannot be created
			misses=$((misses + 1))
			[ $misses -lt 10 ] || { echo "run.sh: $words" >&2; exit 1; }
			continue
		fi
		beat=$(cat "$lock/beat" 2>/dev/null || true)
		[ "$beat" = "$seen" ] || { seen=$beat since=$SECONDS; }
		if dead "$beat" || [ $((SECONDS - since)) -gt 60 ]; then
			mv "$lock" "$lock.$$" 2>/dev/null && rm -rf "$lock.$$" || sleep 1
			continue
		fi
		if [ -z "$told" ] && [ -n "$beat" ]; then
			told=yes
			echo "waiting for ${beat%,*}, which prepares this folder" >&2
		fi
		sleep 1
	done
	trap release EXIT
	trap 'exit 130' INT # pip ends without dying of it, so that bash would go on
	(
		n=0
		while kill -0 $$ && echo "process $$ on $(uname -n), $n" >"$lock/beat"; do
			n=$((n + 1))
			sleep 3
		done
	) </dev/null >/dev/null 2>&1 &
	beater=$!
	if ! "$has"; then "$@"; fi
	release
	trap - EXIT INT
}

release() {
	{ kill $beater; wait $beater; } 2>/dev/null || true
	rm -rf "$here/.bin/lock"
}

# dead BEAT: the process was on this machine, and has ended. kill also fails for a process of another
# user, which ps shows.
dead() {
	[[ $1 =~ ^process\ ([0-9]+)\ on\ (.*),\ [0-9]+$ ]] && [ "${BASH_REMATCH[2]}" = "$(uname -n)" ] &&
		! kill -0 "${BASH_REMATCH[1]}" 2>/dev/null && ! ps -p "${BASH_REMATCH[1]}" >/dev/null 2>&1
}

build() {
	version=unknown
	local git=(git -c "safe.directory=$here" -C "$here") # also in another user's checkout
	# A copy without git's files may lie inside another repository.
	if [ "$("${git[@]}" rev-parse --show-cdup 2>&1)" = "" ]; then
		version=$("${git[@]}" describe --always --dirty 2>/dev/null || echo unknown)
	fi
	# The checksum of all sources. go build would detect changes itself, but takes longer, and
	# needs Go. Questions are not part of the program.
	sources=$(cd "$here" && find experiments harness nets plots go.mod go.sum -type f ! -name '*.y*ml' ! -name '.*' ! -name '*~' -exec cksum {} + 2>/dev/null | LC_ALL=C sort | cksum) || sources="unknown $$"
	built && return
	if [ -x "$bin/lab" ] && [ ! -w "$bin" ]; then
		echo "run.sh: the sources changed since $bin/lab was built, and you may not write there: its owner has to start run.sh once, or copy the folder and use the copy" >&2
		exit 1
	fi
	once built compile
}

# built: the program was built from these sources. If only its version differs, it is built again
# where that is possible: a copy may lack git's files, and a batch node git or Go.
built() {
	[ -x "$bin/lab" ] || return 1
	case $(cat "$bin/made" 2>/dev/null) in
	"$sources $version") return 0 ;;
	"$sources "*) [ "$version" = unknown ] || [ ! -w "$bin" ] || ! command -v go >/dev/null ;;
	*) return 1 ;;
	esac
}

compile() {
	need_go
	[ -x "$bin/lab" ] || echo "building the program (a minute or two the first time)" >&2
	mkdir -p "$bin"
	rm -f "$bin/made"
	if ! (cd "$here" && go build -buildvcs=false -ldflags "-X main.version=$version" -o "$bin/lab.new" ./harness/cmd/lab) >"$bin/build.txt" 2>&1; then
		head -n 12 "$bin/build.txt" >&2
		echo "run.sh: the program could not be built. If Go could not fetch its modules: run ./run.sh prepare FILE.yaml on a machine with a network; then the folder, and any copy of it, needs no network." >&2
		exit 1
	fi
	mv -f "$bin/lab.new" "$bin/lab"
	echo "$sources $version" >"$bin/made.new"
	mv -f "$bin/made.new" "$bin/made"
}

# The program opens shared libraries, so that glibc's loader has to start it.
start() {
	shopt -s execfail
	exec "$bin/lab" "$@" || {
		echo "run.sh: $bin/lab does not start on this machine, $(uname -sm). It needs the loader of glibc, on x86-64 /lib64/ld-linux-x86-64.so.2: Debian, Ubuntu, Fedora and similar systems have it, Alpine does not. If it was built for another machine, remove .bin and run this again." >&2
		exit 126
	}
}

# want HAS NAME FOLDER REQUIREMENTS OPTIONS: fetches a library unless HAS succeeds.
want() {
	"$1" && return
	if [ "$(uname -sm)" != "Linux x86_64" ] || ! command -v python3 >/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
		return # lab says what is slower without it, and what to do
	fi
	if [ -n "${no_download:-}" ]; then
		echo "run.sh: $2 is missing, and is not fetched because of --no-download" >&2
	elif [ ! -w "$here" ]; then
		echo "run.sh: $2 is missing, and $here is not writable for you" >&2
	else
		once "$1" fetch "${@:2}"
	fi
}

# fetch NAME FOLDER REQUIREMENTS OPTIONS: downloads wheels from PyPI, pinned by hash, and unpacks
# them into .lib/FOLDER, which is complete or absent.
fetch() {
	local name=$1 to=$here/.lib/$2 wheels=$here/.lib/wheels/$2 words=$here/.lib/pip.txt tmp
	if [ -z "${preparing:-}" ] && [ -n "$(find "$here/.lib/unreachable" -mmin -60 2>/dev/null)" ]; then
		echo "run.sh: $name is missing, and fetching failed less than an hour ago; ./run.sh prepare FILE.yaml tries it again" >&2
		return
	fi
	echo "fetching $name into .lib/$2" >&2
	rm -rf "$here"/.lib/fetch.* # of a fetch that was interrupted
	mkdir -p "$wheels" "$(dirname "$to")"
	tmp=$(mktemp -d "$here/.lib/fetch.XXXXXX")
	mkdir "$tmp/whole"
	# Wheels of an interrupted fetch stay in .lib/wheels and are not downloaded again.
	if PIP_DEFAULT_TIMEOUT=${PIP_DEFAULT_TIMEOUT:-15} PIP_RETRIES=${PIP_RETRIES:-1} \
		python3 -m pip download --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes --find-links "$wheels" -r "$3" -d "$wheels" "${@:4}" >&2 2>"$words" &&
		unpack "$wheels" "$tmp/whole" 2>>"$words"; then
		rm -rf "$to"
		python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$tmp/whole" "$to" # mv would move it into an existing folder
		rm -rf "$wheels" "$here/.lib/unreachable"
	else
		echo "run.sh: $name could not be fetched: $(reason "$words") (pip's output is in $words)" >&2
		touch "$here/.lib/unreachable"
		export DEPTHLAB_NOT_FETCHED="${DEPTHLAB_NOT_FETCHED:+$DEPTHLAB_NOT_FETCHED, }$name" # for prepare
	fi
	rm -rf "$tmp"
}

# reason FILE: the cause of an error in pip's output.
reason() {
	grep -q 'connection broken' "$1" && echo "pip cannot reach the package index" && return
	grep . "$1" | tail -n 1
}

unpack() {
	local wheel
	for wheel in "$1"/*.whl; do
		python3 -m zipfile -e "$wheel" "$2" || return 1
	done
	# zipfile does not restore the permission to execute.
	find "$2" -path '*/bin/*' -type f -exec chmod +x {} +
}

# The wheel onednn-cpu-gomp has one library, libdnnl.so.3; it needs libgomp. $DEPTHLAB_ONEDNN, .lib
# and the system's library have priority.
onednn() { want has_onednn "oneDNN (39 MB)" onednn "$here/harness/device/cpu/wheels/cpu.txt"; }

# mentions PATTERN ARGUMENTS: an argument, or a file that it names, has the pattern.
mentions() { [ $# -gt 1 ] && { [[ ${*:2} =~ $1 ]] || grep -qsE -- "$1" "${@:2}"; }; }

# oneDNN is only used in bf16, on CPUs with AMX. When preparing for other machines, they may have it.
onednn_if_used() {
	if [ "${DEPTHLAB_ONEDNN_KERNELS:-}" = library ] || [ -n "${preparing:-}" ] ||
		{ [ "${DEPTHLAB_CPU:-avx512}" = avx512 ] && grep -qs amx_bf16 /proc/cpuinfo; }; then
		onednn
	fi
}

has_onednn() {
	[ -n "${DEPTHLAB_ONEDNN:-}" ] ||
		[ -n "$(find "$here/.lib/onednn" -name 'libdnnl.so.3*' -print 2>/dev/null | head -n 1)" ] ||
		ldconfig -p 2>/dev/null | grep 'libdnnl\.so\.3 ' >/dev/null # -q would end ldconfig's pipe, an error
}

# The wheel turbojpeg has libturbojpeg.so.0 of libjpeg-turbo 3; the library needs no Python.
turbojpeg() {
	want has_turbojpeg "libjpeg-turbo (0.6 MB)" turbojpeg "$here/harness/data/photo/wheels/turbojpeg.txt" --python-version 3.11 --implementation cp --abi cp311 --platform manylinux2014_x86_64
}

has_turbojpeg() {
	[ -n "${DEPTHLAB_TURBOJPEG:-}" ] || [ -n "$(find "$here/.lib/turbojpeg" -name 'libturbojpeg*' -print 2>/dev/null | head -n 1)" ]
}

pinned=$here/harness/device/xla/wheels

# driver prints the major version of the NVIDIA driver, 0 for none. Some containers lack the file
# in /proc. $DEPTHLAB_DRIVER is the version on the machines that this one prepares for.
driver() {
	local text
	if [ -n "${preparing:-}" ] && [ -n "${DEPTHLAB_DRIVER:-}" ]; then
		echo "${DEPTHLAB_DRIVER%%.*}" # nvidia-smi shows 550.54.15
		return
	fi
	case ${CUDA_VISIBLE_DEVICES-0} in
	[0-9]* | GPU-* | MIG-*) ;;
	*) echo 0 && return ;; # the GPUs are hidden on purpose
	esac
	text=$({ cat /proc/driver/nvidia/version || echo " $(nvidia-smi --query-gpu=driver_version --format=csv,noheader)"; } 2>/dev/null)
	[[ $text =~ \ ([0-9]+)\.[0-9]+ ]] && echo "${BASH_REMATCH[1]}" || echo 0
}

# XLA's plugin for this machine: for an NVIDIA GPU, or for tests on the CPU.
xla() {
	local driver
	driver=$(driver)
	[ -n "${DEPTHLAB_PJRT:-}" ] && return
	if [ "$driver" -ge 580 ]; then
		want has_cuda13 "XLA's CUDA plugin with cuDNN and other libraries (3.5 GB when unpacked)" pjrt/cuda13 "$pinned/cuda13.txt"
	elif [ "$driver" -ge 525 ]; then
		want has_cuda12 "XLA's CUDA plugin with cuDNN and other libraries (5.2 GB when unpacked)" pjrt/cuda12 "$pinned/cuda12.txt"
	elif [ "$driver" -eq 0 ]; then # with an older one, lab says what is needed
		xla_cpu
	fi
}

has_cuda12() { [ -e "$here/.lib/pjrt/cuda12/nvidia/cudnn" ] || has_jax xla_cuda12; }

has_cuda13() { [ -e "$here/.lib/pjrt/cuda13/nvidia/cudnn" ] || has_cuda12 || has_jax xla_cuda13; }

# has_jax PLUGIN: python3 has the plugin, as JAX installs it.
has_jax() {
	python3 -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("jax_plugins." + sys.argv[1]))' "$1" 2>/dev/null
}

xla_cpu() { want has_xla_cpu "XLA's CPU plugin (61 MB)" pjrt/cpu "$pinned/cpu.txt"; }

has_xla_cpu() { [ -d "$here/.lib/pjrt/cpu" ]; }

# The compiler for GPUs, which needs no GPU.
xla_compile() { want has_xla_compile "XLA's CUDA plugin and its compiler (245 MB)" pjrt/cuda13 "$pinned/compile.txt"; }

has_xla_compile() { [ -d "$here/.lib/pjrt/cuda13" ]; }

# tests [--all] ...: the short tests, of every package and device with few and small nets, in
# minutes; with --all all tests (harness/testskip/README.md), which need a compiler for GPUs. Other
# arguments are go test's.
tests() {
	need_go
	turbojpeg
	xla_cpu
	if [ "${1:-}" = --all ]; then
		shift
		export DEPTHLAB_TEST_ALL=1
	fi
	if [ -n "${DEPTHLAB_TEST_ALL:-}" ]; then
		onednn
		xla_compile
	else
		onednn_if_used
	fi
	cd "$here"
	local unformatted absent
	unformatted=$(gofmt -l experiments harness nets plots)
	[ -z "$unformatted" ] || { echo "not gofmt-ed: $unformatted" >&2; exit 1; }
	go vet -tags nightly ./...
	absent=$(mktemp)
	trap "rm -f '$absent'" EXIT
	DEPTHLAB_TEST_ABSENT=$absent go test -timeout 30m "$@" ./...
	sort -u "$absent" | sed 's/^/left out: /'
	[ -n "${DEPTHLAB_TEST_ALL:-}" ] || echo "this was the short test: ./run.sh test --all leaves nothing out"
}

# --no-download, anywhere on the command line, is an option of this script.
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
	prepare | submit) preparing=1 ;;
	esac
	# A machine that submits jobs need not have the GPUs that they ask for. CUDA 12 runs with all
	# newer drivers, too.
	if [[ ${1:-} == submit && ("$*" == *" -- "*gpu* || "$*" == *" -- "*-G*) && $(driver) -eq 0 ]]; then
		DEPTHLAB_DRIVER=525
	fi
	case ${1:-} in
	*.yaml | *.yml | run | plan | eval | step | bench | prepare | submit)
		onednn_if_used
		[[ " $* " =~ \ --device[=\ ](cpu|onednn|ref)\  ]] || [ "$(driver)" -eq 0 ] || xla
		;;
	doctor) onednn_if_used ;;
	esac
	# Photos are also read with these options.
	if [[ " $* " == *" --crops"* || " $* " == *" --loader"* ]] || mentions '^ *data: *imagenet' "$@"; then
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
