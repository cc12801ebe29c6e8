package integration

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// exchanged is one request and its answer as they went over the wire.
type exchanged struct {
	path, action, contentType string
	request, response         []byte
}

// recorder keeps what a client sends and gets.
type recorder struct {
	next http.RoundTripper
	mu   sync.Mutex
	all  []exchanged
}

func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	var sent []byte
	if q.Body != nil {
		var err error
		if sent, err = io.ReadAll(q.Body); err != nil {
			return nil, err
		}
		_ = q.Body.Close()
		q = q.Clone(q.Context())
		q.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := r.next.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(got))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, exchanged{
		q.URL.Path, strings.Join(q.Header["Soapaction"], "|"), q.Header.Get("Content-Type"), sent, got,
	})
	return resp, nil
}

func (r *recorder) CloseIdleConnections() {
	if c, ok := r.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// one is the only exchange whose request holds an element.
func (r *recorder) one(t *testing.T, element string) exchanged {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []exchanged
	for _, e := range r.all {
		if bytes.Contains(e.request, []byte(":"+element+" ")) || bytes.Contains(e.request, []byte(":"+element+">")) {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d exchanges with %s", len(found), element)
	}
	return found[0]
}

// program runs another author's program.
func program(t *testing.T, in []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), oracle.Tool(t, name), args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%.500s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// element cuts an element out of a document, by xmllint.
func element(t *testing.T, doc []byte, xpath string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "doc.xml")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(program(t, nil, "xmllint", "--xpath", xpath, file))
}

func textAt(t *testing.T, doc []byte, xpath string) string {
	t.Helper()
	return string(element(t, doc, "string("+xpath+")"))
}

func payload(t *testing.T, envelope []byte) []byte {
	t.Helper()
	return element(t, envelope, "/*[local-name()='Envelope']/*[local-name()='Body']/*")
}

func unbase64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		t.Fatalf("not base64, or empty: %v", err)
	}
	return b
}

// jars are where Debian's libbcpkix-java puts BouncyCastle.
var jars = []string{"/usr/share/java/bcprov.jar", "/usr/share/java/bcpkix.jar", "/usr/share/java/bcutil.jar"}

// bouncy compiles the driver of package etee, once for all tests.
func bouncy(t *testing.T) (classpath string) {
	t.Helper()
	javac := oracle.Tool(t, "javac")
	for _, j := range jars {
		if _, err := os.Stat(j); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("libbcpkix-java is not installed (CI=true, nothing may be skipped)")
			}
			t.Skip("libbcpkix-java is not installed")
		}
	}
	source := filepath.Join(oracle.ModuleRoot(t), "etee", "testdata", "java", "Bouncy.java")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	libs := strings.Join(jars, ":")
	dir := filepath.Join(os.TempDir(), "ehealth-bouncy-"+strconv.Itoa(os.Getuid())+"-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, "Bouncy.class")); err != nil {
		work, err := os.MkdirTemp("", "ehealth-bouncy-")
		if err != nil {
			t.Fatal(err)
		}
		program(t, nil, javac, "-cp", libs, "-d", work, source)
		if os.Rename(work, dir) != nil { // another test binary was faster
			dir = work
		}
	}
	return libs + ":" + dir
}

// unsealed is what BouncyCastle says about a sealed message.
type unsealed struct{ content, signer []byte }

// unseal opens a message with a private key or a key-encryption key, by BouncyCastle.
func unseal(t *testing.T, sealed []byte, key any, kek []byte) unsealed {
	t.Helper()
	var pkcs8 []byte
	if key != nil {
		var err error
		if pkcs8, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			t.Fatal(err)
		}
	}
	in := binary.BigEndian.AppendUint32(nil, 1)
	fields := [][]byte{[]byte("open"), sealed, pkcs8, kek}
	in = binary.BigEndian.AppendUint32(in, uint32(len(fields)))
	for _, f := range fields {
		in = append(binary.BigEndian.AppendUint32(in, uint32(len(f))), f...)
	}
	out := program(t, in, "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", bouncy(t), "Bouncy")
	number := func() (n uint32) {
		n, out = binary.BigEndian.Uint32(out), out[4:]
		return n
	}
	var answer [][]byte
	for range number() {
		n := number()
		answer, out = append(answer, out[:n]), out[n:]
	}
	if len(answer) < 3 || string(answer[0]) != "ok" {
		t.Fatalf("BouncyCastle: %q", answer)
	}
	return unsealed{answer[1], answer[2]}
}

// keyIdentifier is that of the only recipient of a message sealed under a symmetric key, read by openssl.
func keyIdentifier(t *testing.T, sealed []byte) []byte {
	t.Helper()
	middle := program(t, sealed, "openssl", "cms", "-verify", "-noverify", "-nosigs", "-inform", "DER", "-binary")
	text := program(t, middle, "openssl", "cms", "-cmsout", "-print", "-inform", "DER")
	_, text, ok := bytes.Cut(text, []byte("keyIdentifier:"))
	if !ok {
		t.Fatal("openssl finds no key identifier")
	}
	var id []byte
	for _, line := range bytes.Split(text, []byte("\n"))[1:] {
		m := regexp.MustCompile(`^\s+[0-9a-f]{4} - ((?:[0-9a-f]{2}[ -]?)+)`).FindSubmatch(line)
		if m == nil {
			break
		}
		digits := strings.NewReplacer(" ", "", "-", "").Replace(string(m[1]))
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		id = append(id, b...)
	}
	return id
}

// tripleDES opens an answer with openssl, whose des-ede3 is ECB.
func tripleDES(t *testing.T, sealed, key []byte) []byte {
	t.Helper()
	return program(t, sealed, "openssl", "enc", "-d", "-des-ede3", "-K", hex.EncodeToString(key))
}

func recipeXSD(t *testing.T, elem ...string) string {
	t.Helper()
	return oracle.Shared(t, append([]string{"schemas", "recipe"}, elem...)...)
}

var outerXSD = []string{"wsdl", "ehealth-recipe-services", "WSDL", "recipeservices_protocol-4_0.xsd"}

func sealedXSD(role string) []string {
	return []string{"wsdl", "recipe-central-system-unsealed", "XSD", "Unsealed" + role + "ServicesV4_schema1.xsd"}
}

// judged checks an exchange from outside to inside and returns the param, the result and the two bodies.
func judged(t *testing.T, e exchanged, action string, signer *x509.Certificate, recipe any, paramXSD, resultXSD []string) (param, result, asked, answered []byte) {
	t.Helper()
	if e.action != `"urn:be:fgov:ehealth:recipe:protocol:v4:`+action+`"` {
		t.Errorf("SOAPAction is %s", e.action)
	}
	if e.contentType != "text/xml; charset=utf-8" && e.contentType != "text/xml; charset=UTF-8" {
		t.Errorf("Content-Type is %s", e.contentType)
	}
	oracle.XMLSecVerify(t, e.request, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.Raw}),
		oracle.IDBody, oracle.IDTimestamp, oracle.IDAssertion, "--node-xpath", "//*[local-name()='Security']/*[local-name()='Signature']")
	for name, alg := range map[string]string{
		"//*[local-name()='Security']/*[local-name()='Signature']//*[local-name()='SignatureMethod']/@Algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
		"count(//*[local-name()='Security']/*[local-name()='Signature']//*[local-name()='Reference'])":           "2",
		"count(//*[local-name()='InclusiveNamespaces'])":                                                         "0",
		"//*[local-name()='Security']/*[local-name()='Signature']//*[local-name()='KeyIdentifier']/@ValueType":   "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID",
	} {
		if got := textAt(t, e.request, name); got != alg {
			t.Errorf("%s is %q", name, got)
		}
	}
	asked, answered = payload(t, e.request), payload(t, e.response)
	oracle.ValidateXSD(t, recipeXSD(t, outerXSD...), asked)
	oracle.ValidateXSD(t, recipeXSD(t, outerXSD...), answered)
	open := unseal(t, unbase64(t, textAt(t, asked, "/*/*/SecuredContent")), recipe, nil)
	if !bytes.Equal(open.signer, signer.Raw) {
		t.Error("the seal is not by the caller")
	}
	param = open.content
	oracle.ValidateXSD(t, recipeXSD(t, paramXSD...), param)
	key := unbase64(t, textAt(t, param, "/*/symmKey"))
	if len(key) != 24 {
		t.Errorf("symmKey has %d bytes", len(key))
	}
	result = tripleDES(t, unbase64(t, textAt(t, answered, "/*/*/SecuredContent")), key)
	oracle.ValidateXSD(t, recipeXSD(t, resultXSD...), result)
	if got := textAt(t, answered, "/*/@InResponseTo"); got != textAt(t, asked, "/*/@Id") {
		t.Error("the answer does not refer to the request")
	}
	if path.Dir(e.path) != "/Recip-e/v4" {
		t.Errorf("path %s", e.path)
	}
	return param, result, asked, answered
}
