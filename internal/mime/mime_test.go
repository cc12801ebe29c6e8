package mime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

const related = `multipart/related; type="text/xml"; start="<root@x>"; boundary="B"`

// The recorded message is read, and written again byte by byte.
func TestSampleByteExact(t *testing.T) {
	doc, err := os.ReadFile("testdata/http-sendMessage-annex-swa.http")
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(doc)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(req.Header.Get("Content-Type"), bytes.NewReader(body), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	part, ok := got.Part("cid:annex-1@sandbox.example")
	if !ok || len(got.Parts) != 1 || part.Type != "application/pdf" {
		t.Fatalf("parts %+v", got.Parts)
	}
	m, err := NewWith(got.Root, "MIMEBoundary_sandbox_0001", "root.message@sandbox.example", got.Parts...)
	if err != nil {
		t.Fatal(err)
	}
	if again := written(t, m); !bytes.Equal(again, body) {
		t.Errorf("got\n%q\nwant\n%q", again, body)
	}
	if m.ContentType() != req.Header.Get("Content-Type") || m.Size() != req.ContentLength {
		t.Errorf("header %q, size %d", m.ContentType(), m.Size())
	}
	shared, err := os.ReadFile(oracle.Shared(t, "samples", "ehbox", "http-sendMessage-annex-swa.http"))
	if err != nil || !bytes.Equal(shared, doc) {
		t.Errorf("the copy in testdata is not the sample: %v", err)
	}
}

func written(t testing.TB, m *Message) []byte {
	t.Helper()
	r := m.Reader()
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func crlf(lines ...string) string { return strings.Join(lines, "\r\n") }

func TestReadTakes(t *testing.T) {
	for name, c := range map[string]struct{ typ, body, ref, want string }{
		"angle brackets":   {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID: <a@x>", "", "data", "--B--", ""), "cid:a@x", "data"},
		"no brackets":      {related, crlf("--B", "Content-ID: root@x", "", "R", "--B", "content-id:a@x", "", "data", "--B--"), "cid:a@x", "data"},
		"escaped ref":      {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID: <a/ b@x>", "", "data", "--B--"), "cid:a%2F%20b@x", "data"},
		"no start":         {`multipart/related; boundary=B`, crlf("--B", "", "R", "--B", "Content-ID: <a@x>", "", "data", "--B--"), "cid:a@x", "data"},
		"root without id":  {related, crlf("--B", "Content-Type: text/xml", "", "R", "--B", "Content-ID: <a@x>", "", "data", "--B--"), "cid:a@x", "data"},
		"root last":        {related, crlf("--B", "Content-ID: <a@x>", "", "data", "--B", "Content-ID: <root@x>", "", "R", "--B--"), "cid:a@x", "data"},
		"base64":           {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID: <a@x>", "Content-Transfer-Encoding: Base64", "", "ZGF", " 0YQ==", "", "--B--"), "cid:a@x", "data"},
		"quoted-printable": {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID: <a@x>", "Content-Transfer-Encoding: quoted-printable", "", "d=61t=", "a", "--B--"), "cid:a@x", "data"},
		"lf alone":         {related, "--B\nContent-ID: <root@x>\n\nR\n--B\nContent-ID: <a@x>\n\nda\r\nta\n--B--\n", "cid:a@x", "da\r\nta"},
		"lf in crlf":       {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID: <a@x>", "", "da\n--B\nta\r", "--B--"), "cid:a@x", "da\n--B\nta\r"},
		"empty part":       {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID: <a@x>", "", "--B--"), "cid:a@x", ""},
		"empty part 2":     {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID: <a@x>", "", "", "--B--"), "cid:a@x", ""},
		"preamble":         {related, crlf("hello", "", "--B  ", "Content-ID: <root@x>", "", "R", "--B\t", "Content-ID: <a@x>", "", "data", "--B--", "bye"), "cid:a@x", "data"},
		"longer delimiter": {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID: <a@x>", "", "x", "--BB", "y", "--B--"), "cid:a@x", "x\r\n--BB\r\ny"},
		"folded header":    {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID:", "  <a@x>", "", "data", "--B--"), "cid:a@x", "data"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(c.typ, iotestOneByte(c.body), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			p, ok := got.Part(c.ref)
			if !ok || string(got.Root) != "R" {
				t.Fatalf("root %q, part %v", got.Root, ok)
			}
			data, err := p.Content()
			if err != nil || string(data) != c.want || p.Size != int64(len(data)) {
				t.Errorf("got %q (%d), %v", data, p.Size, err)
			}
		})
	}
}

// iotestOneByte gives a text byte by byte, as a slow network may.
func iotestOneByte(s string) io.Reader { return &oneByte{strings.NewReader(s)} }

type oneByte struct{ r io.Reader }

func (o *oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(1, len(b))]) }

func TestReadRefuses(t *testing.T) {
	two := func(a, b string) string {
		return crlf("--B", "Content-ID: <root@x>", "", "R", "--B", a, "", "data", "--B", b, "", "data", "--B--")
	}
	for name, c := range map[string]struct {
		typ, body string
		want      error
	}{
		"no multipart":     {"text/xml", "", ErrMedia},
		"form data":        {"multipart/form-data; boundary=B", "", ErrMedia},
		"no boundary":      {"multipart/related", "", ErrMedia},
		"empty":            {related, "", ErrSyntax},
		"one id twice":     {related, two("Content-ID: <a@x>", "Content-ID: a@x"), ErrSyntax},
		"header twice":     {related, two("Content-ID: <a@x>\r\nContent-ID: <b@x>", "X: y"), ErrSyntax},
		"no end":           {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-ID: <a@x>", "", "data"), ErrSyntax},
		"half an end":      {related, crlf("--B", "Content-ID: <root@x>", "", "R", "--B-"), ErrSyntax},
		"no root":          {related, crlf("--B", "Content-ID: <a@x>", "", "R", "--B--"), ErrSyntax},
		"unknown encoding": {related, two("Content-Transfer-Encoding: x-uu", "X: y"), ErrSyntax},
		"bad base64":       {related, two("Content-Transfer-Encoding: base64", "X: y")[:60] + "!!\r\n--B--", ErrSyntax},
		"bad header":       {related, two("no colon", "X: y"), ErrSyntax},
		"long header":      {related, two("X: "+strings.Repeat("y", 9000), "X: y"), ErrLimit},
		"many headers":     {related, two(strings.Repeat("X: y\r\n", 60)+"X: y", "X: y"), ErrLimit},
		"root too large":   {related, crlf("--B", "Content-ID: <root@x>", "", strings.Repeat("R", 200), "--B--"), ErrLimit},
		"part too large":   {related, two("X: "+"y", "X: y\r\n\r\n"+strings.Repeat("z", 200)), ErrLimit},
		"total too large":  {related, two("X: y", "X: y\r\n\r\n"+strings.Repeat("z", 2000)), ErrLimit},
		"too many parts":   {related, two("X: y", "X: y\r\n\r\n\r\n--B\r\n\r\n\r\n--B\r\n\r\n\r\n--B\r\n"), ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(c.typ, strings.NewReader(c.body), Limits{Root: 100, Part: 100, Total: 12000, Parts: 3})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := Read(related, strings.NewReader(two("X: y", "X: z")), Limits{Total: 20}); !errors.Is(err, ErrLimit) {
		t.Errorf("total: %v", err)
	}
}

type sink struct {
	bytes.Buffer
	closed int
}

func (s *sink) Close() error { s.closed++; return nil }

func TestSpill(t *testing.T) {
	m, err := New([]byte("R"), Bytes("a", "text/plain", []byte("first")), Bytes("b", "x/y", []byte("second")))
	if err != nil {
		t.Fatal(err)
	}
	sinks := map[string]*sink{}
	got, err := Read(m.ContentType(), m.Reader(), Limits{Spill: func(p Part) (io.WriteCloser, error) {
		if p.ID == "b" {
			return nil, nil
		}
		sinks[p.ID] = &sink{}
		return sinks[p.ID], nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s := sinks["a"]; s.String() != "first" || s.closed != 1 || got.Parts[0].Size != 5 || got.Parts[0].Open != nil {
		t.Errorf("spilled %+v", got.Parts[0])
	}
	if data, err := got.Parts[1].Content(); err != nil || string(data) != "second" {
		t.Errorf("%q, %v", data, err)
	}
	no := errors.New("disk full")
	if _, err = Read(m.ContentType(), m.Reader(), Limits{Spill: func(Part) (io.WriteCloser, error) { return nil, no }}); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	open := Bytes("", "", nil).Open
	for name, p := range map[string]Part{
		"no id":       {Type: "x/y", Open: open},
		"no type":     {ID: "a", Open: open},
		"injection":   {ID: "a", Type: "x/y\r\nX: y", Open: open},
		"injection 2": {ID: "a>\r\n", Type: "x/y", Open: open},
		"root's id":   {ID: "root", Type: "x/y", Open: open},
		"no content":  {ID: "a", Type: "x/y"},
	} {
		if _, err := NewWith(nil, "b", "root", p); !errors.Is(err, ErrPart) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []int64{2, 4} {
		p := Bytes("a", "x/y", []byte("abc"))
		p.Size = size
		m, err := New(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(m.Reader()); !errors.Is(err, ErrPart) {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

// A message goes through HTTP with its length announced, twice, and a part is open only while it is read.
func TestOverHTTP(t *testing.T) {
	big := bytes.Repeat([]byte("\r\n--B\r"), 200_000)
	open := 0
	part := Part{ID: "big", Type: "application/octet-stream", Size: int64(len(big)), Open: func() (io.ReadCloser, error) {
		open++
		return struct {
			io.Reader
			io.Closer
		}{bytes.NewReader(big), closer(func() { open-- })}, nil
	}}
	m, err := New([]byte("<r/>"), part)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := Read(r.Header.Get("Content-Type"), r.Body, Limits{})
		if err != nil || r.ContentLength != m.Size() {
			http.Error(w, "refused", 400)
			return
		}
		p, _ := got.Part(Ref("big"))
		data, _ := p.Content()
		if !bytes.Equal(data, big) {
			http.Error(w, "differs", 400)
		}
	}))
	defer srv.Close()
	for range 2 {
		req, err := http.NewRequest(http.MethodPost, srv.URL, m.Reader())
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = m.Size()
		req.Header.Set("Content-Type", m.ContentType())
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	if open != 0 {
		t.Errorf("%d parts still open", open)
	}
}

type closer func()

func (c closer) Close() error { c(); return nil }

func TestRef(t *testing.T) {
	for _, id := range []string{"a@b", "uuid@ehealth.fgov.be", "a/b c%", "é"} {
		if got, ok := ID(Ref(id)); !ok || got != id {
			t.Errorf("%q -> %q -> %q", id, Ref(id), got)
		}
	}
	for _, ref := range []string{"", "cid:", "http://x", "cid:%zz"} {
		if _, ok := ID(ref); ok {
			t.Errorf("%q is a reference", ref)
		}
	}
	if got, ok := ID(" CID:<x@y> "); !ok || got != "x@y" {
		t.Errorf("got %q", got)
	}
}

// Whatever is read can be written and reads back the same.
func FuzzRead(f *testing.F) {
	doc, _ := os.ReadFile("testdata/http-sendMessage-annex-swa.http")
	if _, body, ok := bytes.Cut(doc, []byte("\r\n\r\n")); ok {
		f.Add(`multipart/related; start="<root.message@sandbox.example>"; boundary="MIMEBoundary_sandbox_0001"`, body)
	}
	f.Add(related, []byte(crlf("--B", "Content-ID: <root@x>", "", "R", "--B", "Content-Transfer-Encoding: base64", "", "ZGF0YQ==", "--B--")))
	f.Add(related, []byte("--B\nContent-ID: root@x\n\nR\n--B\nContent-Transfer-Encoding: quoted-printable\n\n=41\n--B--"))
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		lim := Limits{Root: 1 << 16, Total: 1 << 17, Parts: 10}
		got, err := Read(typ, bytes.NewReader(body), lim)
		if err != nil {
			return
		}
		for i := range got.Parts {
			if !validID(got.Parts[i].ID) || got.Parts[i].Type == "" || !printable(got.Parts[i].Type) {
				return
			}
		}
		m, err := New(got.Root, got.Parts...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read(m.ContentType(), m.Reader(), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Root, got.Root) || len(again.Parts) != len(got.Parts) {
			t.Fatal("differs")
		}
		for i := range got.Parts {
			a, _ := got.Parts[i].Content()
			b, err := again.Parts[i].Content()
			if err != nil || !bytes.Equal(a, b) {
				t.Fatal("part differs")
			}
		}
	})
}
