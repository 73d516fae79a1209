// Fault injection for tests.

package disk

// Fault, if a test has set it, is called before each operation: "mkdir", "create",
// "write", "truncate", "sync", "rename", "syncdir", "remove" (of an incomplete file) and
// "free". If it returns an error, the operation fails with it. A write first writes done
// bytes. For "free" with an error, done is the result. path is the final name of the
// file. All writers call Fault, so it must be safe for concurrent use.
var Fault func(op, path string, bytes int) (done int, err error)

func fault(op, path string, bytes int) (done int, err error) {
	if Fault == nil {
		return 0, nil
	}
	return Fault(op, path, bytes)
}
