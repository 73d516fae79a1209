#!/usr/bin/env bash
# Depthlab. Usage: ./run.sh experiments/plain_vs_res.yaml, or ./run.sh --help
# Needs bash and Go; builds the program, fetches the oneDNN library once, runs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export DEPTHLAB_ROOT=$here CGO_ENABLED=0

need_go() {
	local want=1.25
	if ! command -v go >/dev/null; then
		echo "run.sh: Go is missing; install Go $want or newer (https://go.dev/dl, or your system's golang package) and run this again" >&2
		exit 1
	fi
	local have
	have=$(go env GOVERSION)
	have=${have#go}
	if [ "$(printf '%s\n%s\n' "$want" "${have%%[!0-9.]*}" | sort -V | head -n 1)" != "$want" ]; then
		echo "run.sh: Go is $have, but $want or newer is needed (https://go.dev/dl)" >&2
		exit 1
	fi
}

build() {
	need_go
	local version=unknown
	if git -C "$here" rev-parse --git-dir >/dev/null 2>&1; then
		version=$(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)
	fi
	[ -x "$here/.bin/lab" ] || echo "building the program (a minute or two the first time)" >&2
	(cd "$here" && go build -buildvcs=false -ldflags "-X main.version=$version" -o .bin/lab ./harness/cmd/lab)
}

# The wheel onednn-cpu-gomp holds one library, libdnnl.so.3; it needs libgomp.
# Looked for first: $DEPTHLAB_ONEDNN, .lib, and the system's own library.
onednn() {
	local lib=$here/.lib/onednn tmp
	[ -n "${DEPTHLAB_ONEDNN:-}" ] && return
	[ -n "$(find "$lib" -name 'libdnnl.so.3*' -print -quit 2>/dev/null)" ] && return
	ldconfig -p 2>/dev/null | grep -q 'libdnnl\.so\.3 ' && return
	if [ "$(uname -sm)" != "Linux x86_64" ] || ! command -v python3 >/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
		return # lab says what it costs and how to mend it
	fi
	echo "fetching oneDNN (the wheel onednn-cpu-gomp, 39 MB) into .lib" >&2
	mkdir -p "$here/.lib"
	tmp=$(mktemp -d "$here/.lib/fetch.XXXXXX")
	echo "onednn-cpu-gomp==2023.2.0 --hash=sha256:2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb" >"$tmp/requirements.txt"
	if python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes -r "$tmp/requirements.txt" -d "$tmp" >&2 &&
		python3 -m zipfile -e "$tmp"/*.whl "$tmp/onednn"; then
		rm -rf "$lib" && mv "$tmp/onednn" "$lib"
	else
		echo "run.sh: oneDNN could not be fetched" >&2
	fi
	rm -rf "$tmp"
}

# Everything that is checked; "test -short" leaves out what takes long.
tests() {
	need_go
	onednn
	cd "$here"
	local unformatted
	unformatted=$(gofmt -l experiments harness nets plots)
	[ -z "$unformatted" ] || { echo "not gofmt-ed: $unformatted" >&2; exit 1; }
	go vet ./...
	go test "$@" ./...
}

case ${1:-} in
test)
	shift
	tests "$@"
	;;
*)
	build
	case ${1:-} in
	*.yaml | *.yml | run | plan | eval | step | bench | doctor) onednn ;;
	esac
	exec "$here/.bin/lab" "$@"
	;;
esac
