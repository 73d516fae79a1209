package disk

// Fault, where a test has set it, is asked before each operation: "mkdir",
// "create", "write", "truncate", "sync", "rename", "syncdir", "remove" (of a
// half-written file) and "free". An error takes the operation's place; of a
// write so many of its bytes are done before, and done is what is free. path
// is the final name of the file. It is called by whoever writes, and must be
// safe for that.
var Fault func(op, path string, bytes int) (done int, err error)

func fault(op, path string, bytes int) (done int, err error) {
	if Fault == nil {
		return 0, nil
	}
	return Fault(op, path, bytes)
}
