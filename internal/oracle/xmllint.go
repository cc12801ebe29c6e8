package oracle

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// ValidateXSD stops the test when doc is not valid against the schema file
// (a path from Shared), judged by xmllint.
func ValidateXSD(t testing.TB, schema string, doc []byte) {
	t.Helper()
	if err := XSDError(t, schema, doc); err != nil {
		t.Fatalf("not valid against %s: %v", filepath.Base(schema), err)
	}
}

// XSDError returns what xmllint has against doc, nil when it is valid against
// the schema file. A schema that does not compile stops the test.
func XSDError(t testing.TB, schema string, doc []byte) error {
	t.Helper()
	lint := Tool(t, "xmllint")
	_, err := run(t, doc, lint, "--nonet", "--noout", "--schema", schema, "-")
	if err != nil && bytes.HasPrefix([]byte(err.Error()), []byte("exit status 5")) {
		t.Fatalf("oracle: schema %s: %v", filepath.Base(schema), err)
	}
	return err
}

// lintBatch is the number of documents given to one run of xmllint.
const lintBatch = 500

// XMLLintC14N returns the canonical forms, with comments, of whole documents:
// inclusive or exclusive without PrefixList. Documents must not have anything
// outside their root element.
func XMLLintC14N(t testing.TB, docs [][]byte, inclusive bool) [][]byte {
	t.Helper()
	lint := Tool(t, "xmllint")
	mode := "--exc-c14n"
	if inclusive {
		mode = "--c14n"
	}
	dir := t.TempDir()
	// xmllint prints one result after the other; a document between each two
	// tells where one ends.
	sep := filepath.Join(dir, "separator.xml")
	if err := os.WriteFile(sep, []byte("<oracle-separator/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for start := 0; start < len(docs); start += lintBatch {
		batch := docs[start:min(start+lintBatch, len(docs))]
		args := []string{"--nonet", mode}
		for i, doc := range batch {
			path := filepath.Join(dir, fmt.Sprintf("%d.xml", i))
			if err := os.WriteFile(path, doc, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, path, sep)
		}
		printed, err := run(t, nil, lint, args...)
		if err != nil {
			t.Fatalf("oracle: xmllint %s: %v", mode, err)
		}
		parts := bytes.Split(printed, []byte("<oracle-separator></oracle-separator>"))
		if len(parts) != len(batch)+1 {
			t.Fatalf("oracle: xmllint printed %d results for %d documents", len(parts)-1, len(batch))
		}
		out = append(out, parts[:len(batch)]...)
	}
	return out
}
