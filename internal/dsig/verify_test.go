package dsig_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/dsig"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func verify(t testing.TB, doc string, p dsig.Policy) error {
	t.Helper()
	_, err := dsig.Verify(find(t, parse(t, doc), "Signature"), p)
	return err
}

// edit changes the first occurrence and makes sure that there is one.
func edit(t testing.TB, doc, old, new string) string {
	t.Helper()
	if !strings.Contains(doc, old) {
		t.Fatalf("the document does not contain %q", old)
	}
	return strings.Replace(doc, old, new, 1)
}

// Each case changes one thing about a valid signature. Structure is judged before the key is used, so the error tells
// which rule refused it.
func TestVerifyRefuses(t *testing.T) {
	who := p256()
	good := sign(t, who, nil)
	if err := verify(t, good, as(who)); err != nil {
		t.Fatal(err)
	}
	exc := `<ds:Transform Algorithm="` + dsig.ExcC14N + `"></ds:Transform>`
	transform := func(uri string) string { return `<ds:Transform Algorithm="` + uri + `"></ds:Transform>` }
	for name, c := range map[string]struct {
		old, new string
		want     error
	}{
		"changed body":               {"more</", "less</", dsig.ErrDigest},
		"changed attribute":          {`a="1"`, `a="2"`, dsig.ErrDigest},
		"changed second part":        {"10:00:00Z", "10:00:01Z", dsig.ErrDigest},
		"changed SignedInfo":         {`<ds:SignedInfo>`, `<ds:SignedInfo Id="x">`, dsig.ErrSignature},
		"swapped references":         {`URI="#id-1"`, `URI="#TS-1"`, dsig.ErrSignature},
		"empty URI":                  {`URI="#id-1"`, `URI=""`, dsig.ErrReference},
		"lone hash":                  {`URI="#id-1"`, `URI="#"`, dsig.ErrReference},
		"no URI":                     {`URI="#id-1"`, ``, dsig.ErrReference},
		"http URI":                   {`URI="#id-1"`, `URI="http://attacker.example/x#id-1"`, dsig.ErrReference},
		"file URI":                   {`URI="#id-1"`, `URI="file:///etc/passwd"`, dsig.ErrReference},
		"attachment URI":             {`URI="#id-1"`, `URI="cid:doc"`, dsig.ErrReference},
		"XPointer root":              {`URI="#id-1"`, `URI="#xpointer(/)"`, dsig.ErrReference},
		"XPointer id":                {`URI="#id-1"`, `URI="#xpointer(id('id-1'))"`, dsig.ErrReference},
		"percent escape":             {`URI="#id-1"`, `URI="#id%2D1"`, dsig.ErrReference},
		"space in URI":               {`URI="#id-1"`, `URI="#id-1 "`, dsig.ErrReference},
		"unknown id":                 {`URI="#id-1"`, `URI="#id-2"`, dsig.ErrReference},
		"id of another case":         {`URI="#id-1"`, `URI="#ID-1"`, dsig.ErrReference},
		"enveloped elsewhere":        {exc, transform(dsig.EnvelopedSignature) + exc, dsig.ErrSignature}, // the reference itself: TestEnvelopedElsewhere
		"enveloped twice":            {exc, transform(dsig.EnvelopedSignature) + transform(dsig.EnvelopedSignature) + exc, dsig.ErrAlgorithm},
		"enveloped last":             {exc, exc + transform(dsig.EnvelopedSignature), dsig.ErrAlgorithm},
		"C14N twice":                 {exc, exc + exc, dsig.ErrAlgorithm},
		"XPath":                      {exc, `<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>true()</ds:XPath></ds:Transform>` + exc, dsig.ErrAlgorithm},
		"XPath filter 2":             {exc, transform("http://www.w3.org/2002/06/xmldsig-filter2") + exc, dsig.ErrAlgorithm},
		"XSLT":                       {exc, transform("http://www.w3.org/TR/1999/REC-xslt-19991116"), dsig.ErrAlgorithm},
		"base64":                     {exc, transform(dsig.NS + "base64"), dsig.ErrAlgorithm},
		"STR-Transform":              {exc, transform("http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform"), dsig.ErrAlgorithm},
		"no algorithm":               {exc, `<ds:Transform/>`, dsig.ErrAlgorithm},
		"inclusive C14N":             {exc, transform(dsig.C14N10), dsig.ErrAlgorithm},
		"inclusive 1.1":              {exc, transform("http://www.w3.org/2006/12/xml-c14n11"), dsig.ErrAlgorithm},
		"with comments":              {exc, transform(dsig.ExcC14N + "WithComments"), dsig.ErrAlgorithm},
		"SignedInfo with comments":   {`<ds:CanonicalizationMethod Algorithm="` + dsig.ExcC14N, `<ds:CanonicalizationMethod Algorithm="` + dsig.ExcC14N + `WithComments`, dsig.ErrAlgorithm},
		"SignedInfo inclusive":       {`<ds:CanonicalizationMethod Algorithm="` + dsig.ExcC14N, `<ds:CanonicalizationMethod Algorithm="` + dsig.C14N10, dsig.ErrAlgorithm},
		"no transforms":              {`<ds:Transforms>` + exc + `</ds:Transforms>`, ``, dsig.ErrAlgorithm},
		"empty transforms":           {`<ds:Transforms>` + exc + `</ds:Transforms>`, `<ds:Transforms/>`, dsig.ErrFormat},
		"two PrefixLists":            {exc, `<ds:Transform Algorithm="` + dsig.ExcC14N + `"><i:InclusiveNamespaces xmlns:i="` + dsig.ExcC14N + `"/><i:InclusiveNamespaces xmlns:i="` + dsig.ExcC14N + `"/></ds:Transform>`, dsig.ErrAlgorithm},
		"content in PrefixList":      {exc, `<ds:Transform Algorithm="` + dsig.ExcC14N + `"><i:InclusiveNamespaces xmlns:i="` + dsig.ExcC14N + `"><x/></i:InclusiveNamespaces></ds:Transform>`, dsig.ErrFormat},
		"huge PrefixList":            {exc, `<ds:Transform Algorithm="` + dsig.ExcC14N + `"><i:InclusiveNamespaces xmlns:i="` + dsig.ExcC14N + `" PrefixList="` + strings.Repeat("a ", 4096) + `"/></ds:Transform>`, dsig.ErrFormat},
		"HMAC":                       {dsig.ECDSASHA256, dsig.NS + "hmac-sha1", dsig.ErrAlgorithm},
		"HMAC-SHA256":                {dsig.ECDSASHA256, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", dsig.ErrAlgorithm},
		"HMAC output length":         {`Algorithm="` + dsig.ECDSASHA256 + `"></ds:SignatureMethod>`, `Algorithm="` + dsig.ECDSASHA256 + `"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>`, dsig.ErrAlgorithm},
		"DSA":                        {dsig.ECDSASHA256, dsig.NS + "dsa-sha1", dsig.ErrAlgorithm},
		"ECDSA with SHA-1":           {dsig.ECDSASHA256, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1", dsig.ErrAlgorithm},
		"RSA with SHA-1":             {dsig.ECDSASHA256, dsig.RSASHA1, dsig.ErrAlgorithm},
		"RSA method, EC key":         {dsig.ECDSASHA256, dsig.RSASHA256, dsig.ErrKey},
		"SHA-1 digest":               {dsig.SHA256, dsig.SHA1, dsig.ErrAlgorithm},
		"MD5 digest":                 {dsig.SHA256, "http://www.w3.org/2001/04/xmldsig-more#md5", dsig.ErrAlgorithm},
		"comment in DigestValue":     {"<ds:DigestValue>", "<ds:DigestValue><!-- AAAA -->", dsig.ErrFormat},
		"comment in SignatureValue":  {"<ds:SignatureValue>", "<ds:SignatureValue><!-- AAAA -->", dsig.ErrFormat},
		"comment in SignedInfo":      {"<ds:SignedInfo>", "<ds:SignedInfo><!-- x -->", dsig.ErrFormat},
		"PI in Signature":            {"<ds:SignatureValue>", "<?pi x?><ds:SignatureValue>", dsig.ErrFormat},
		"text in SignedInfo":         {"<ds:SignedInfo>", "<ds:SignedInfo>x", dsig.ErrFormat},
		"two SignedInfo":             {"<ds:SignatureValue>", "<ds:SignedInfo/><ds:SignatureValue>", dsig.ErrFormat},
		"two SignatureValues":        {"<ds:KeyInfo>", "<ds:SignatureValue>AAAA</ds:SignatureValue><ds:KeyInfo>", dsig.ErrFormat},
		"KeyInfo first":              {"<ds:SignedInfo>", "<ds:KeyInfo/><ds:SignedInfo>", dsig.ErrFormat},
		"foreign element":            {"<ds:KeyInfo>", "<x/><ds:KeyInfo>", dsig.ErrFormat},
		"reference outside":          {"</ds:SignedInfo>", "<x/></ds:SignedInfo>", dsig.ErrFormat},
		"two DigestValues":           {"<ds:DigestValue>", "<ds:DigestValue>AAAA</ds:DigestValue><ds:DigestValue>", dsig.ErrFormat},
		"DigestValue not base64":     {"<ds:DigestValue>", "<ds:DigestValue>*", dsig.ErrFormat},
		"no-break space in base64":   {"<ds:DigestValue>", "<ds:DigestValue>\u00a0", dsig.ErrFormat},
		"trailing bits in base64":    {"=</ds:DigestValue>", "B=</ds:DigestValue>", dsig.ErrFormat},
		"SignatureValue too long":    {"<ds:SignatureValue>", "<ds:SignatureValue>" + strings.Repeat("AAAA", 4097), dsig.ErrFormat},
		"duplicate id":               {"<m:Body ", `<m:Copy u:Id="id-1"/><m:Body `, dsig.ErrDuplicateID},
		"duplicate other declared":   {"<m:Body ", `<m:Copy Id="id-1"/><m:Body `, dsig.ErrDuplicateID},
		"duplicate not referenced":   {"<m:Body ", `<m:Copy Id="q"/><m:Copy u:Id="q"/><m:Body `, dsig.ErrDuplicateID},
		"duplicate foreign ID":       {"<m:Body ", `<m:Copy m:ID="id-1"/><m:Body `, dsig.ErrDuplicateID},
		"duplicate foreign id":       {"<m:Body ", `<m:Copy id="id-1"/><m:Body `, dsig.ErrDuplicateID},
		"duplicate xml:id":           {"<m:Body ", `<m:Copy xml:id="id-1"/><m:Body `, dsig.ErrDuplicateID},
		"duplicate AssertionID":      {"<m:Body ", `<m:Copy AssertionID="id-1"/><m:Body `, dsig.ErrDuplicateID},
		"id only in foreign space":   {`u:Id="id-1"`, `m:Id="id-1"`, dsig.ErrReference},
		"id by prefix, not by space": {`u:Id="id-1"`, `xmlns:u="` + nsU + `" u:Id="id-1"`, dsig.ErrReference},
	} {
		if err := verify(t, edit(t, good, c.old, c.new), as(who)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestSameElementMayBearItsIDTwice(t *testing.T) {
	doc := strings.Replace(plain, `u:Id="id-1"`, `u:Id="id-1" Id="id-1"`, 1)
	doc = template(t, rsaKey(), crypto.SHA256, withSignature(doc, []byte(shape(dsig.ExcC14N, dsig.RSASHA256, excTransforms, dsig.SHA256))))
	if err := verify(t, doc, as(rsaKey())); err != nil {
		t.Error(err)
	}
}

func TestEnvelopedElsewhere(t *testing.T) {
	tr := `<ds:Transforms><ds:Transform Algorithm="` + dsig.EnvelopedSignature + `"/><ds:Transform Algorithm="` + dsig.ExcC14N + `"/></ds:Transforms>`
	doc := template(t, rsaKey(), crypto.SHA256, withSignature(plain, []byte(shape(dsig.ExcC14N, dsig.RSASHA256, tr, dsig.SHA256))))
	if err := verify(t, doc, as(rsaKey())); !errors.Is(err, dsig.ErrReference) {
		t.Error(err)
	}
}

// What is refused by default and accepted when asked for.
func TestVerifyOptIn(t *testing.T) {
	inclusive := `<ds:Transforms><ds:Transform Algorithm="` + dsig.C14N10 + `"/></ds:Transforms>`
	envelopedOnly := `<ds:Transforms><ds:Transform Algorithm="` + dsig.EnvelopedSignature + `"/></ds:Transforms>`
	list := `<ds:Transforms><ds:Transform Algorithm="` + dsig.ExcC14N + `"><e:InclusiveNamespaces xmlns:e="` + dsig.ExcC14N + `" PrefixList="o ` + "\n" + ` m #default"/></ds:Transform></ds:Transforms>`
	inside := `<m:M xmlns:m="urn:m" xmlns:u="` + nsWSU + `" u:Id="id-1" xml:lang="nl"><m:A>1</m:A>%SIG%</m:M>`
	sha1 := dsig.Policy{AllowSHA1: true}
	incl := dsig.Policy{AllowInclusive: true}
	for name, c := range map[string]struct {
		doc, sig  string
		hash      crypto.Hash
		allow     dsig.Policy
		byDefault bool
	}{
		"SHA-1":                {plain, shape(dsig.ExcC14N, dsig.RSASHA1, excTransforms, dsig.SHA1), crypto.SHA1, sha1, false},
		"inclusive reference":  {plain, shape(dsig.ExcC14N, dsig.RSASHA256, inclusive, dsig.SHA256), crypto.SHA256, incl, false},
		"inclusive SignedInfo": {plain, shape(dsig.C14N10, dsig.RSASHA256, excTransforms, dsig.SHA256), crypto.SHA256, incl, false},
		"implicit C14N":        {inside, shape(dsig.ExcC14N, dsig.RSASHA256, envelopedOnly, dsig.SHA256), crypto.SHA256, incl, false},
		"PrefixList":           {plain, shape(dsig.ExcC14N, dsig.RSASHA256, list, dsig.SHA256), crypto.SHA256, dsig.Policy{}, true},
	} {
		doc := template(t, rsaKey(), c.hash, withSignature(c.doc, []byte(c.sig)))
		p := as(rsaKey())
		if err := verify(t, doc, p); c.byDefault && err != nil || !c.byDefault && !errors.Is(err, dsig.ErrAlgorithm) {
			t.Errorf("%s by default: %v", name, err)
		}
		p.AllowSHA1, p.AllowInclusive = c.allow.AllowSHA1, c.allow.AllowInclusive
		if err := verify(t, doc, p); err != nil {
			t.Errorf("%s when allowed: %v", name, err)
		}
		if err := verify(t, strings.NewReplacer("more</", "less</", "<m:A>1", "<m:A>2").Replace(doc), p); !errors.Is(err, dsig.ErrDigest) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

func TestShortRSA(t *testing.T) {
	who := rsaIdentity("RSA-1024", 1024)()
	doc := sign(t, who, nil)
	p := as(who)
	if err := verify(t, doc, p); !errors.Is(err, dsig.ErrKey) {
		t.Errorf("1024 bits by default: %v", err)
	}
	p.AllowShortRSA = true
	if err := verify(t, doc, p); err != nil {
		t.Errorf("1024 bits when allowed: %v", err)
	}
}

// Digest and signature values come with line breaks; the official connector writes CR as a character reference.
func TestBase64WithLineBreaks(t *testing.T) {
	root := parse(t, sign(t, rsaKey(), nil))
	doc := string(root.Source())
	text, _ := find(t, root, "SignatureValue").Text()
	broken := "\n" + text[:76] + "&#13;\n" + text[76:152] + "\r\n\t " + text[152:] + "&#xD;\n"
	if err := verify(t, edit(t, doc, text, broken), as(rsaKey())); err != nil {
		t.Error(err)
	}
}

func TestECDSAValueOfWrongForm(t *testing.T) {
	who := p384()
	doc := sign(t, who, nil)
	text, _ := find(t, parse(t, doc), "SignatureValue").Text()
	raw, _ := base64.StdEncoding.DecodeString(text)
	for name, value := range map[string][]byte{
		"padded":    append(append([]byte{0}, raw[:48]...), append([]byte{0}, raw[48:]...)...),
		"truncated": raw[:95],
		"zero":      make([]byte, 96),
		"swapped":   append(append([]byte(nil), raw[48:]...), raw[:48]...),
		"one byte":  {1},
	} {
		bad := edit(t, doc, text, base64.StdEncoding.EncodeToString(value))
		if err := verify(t, bad, as(who)); !errors.Is(err, dsig.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyPolicy(t *testing.T) {
	doc := sign(t, p256(), nil)
	refused := errors.New("not ours")
	for name, c := range map[string]struct {
		key  func(*xmltree.Node) (*x509.Certificate, error)
		want error
	}{
		"none":      {nil, dsig.ErrKey},
		"nothing":   {func(*xmltree.Node) (*x509.Certificate, error) { return nil, nil }, dsig.ErrKey},
		"refused":   {func(*xmltree.Node) (*x509.Certificate, error) { return nil, refused }, refused},
		"other key": {func(*xmltree.Node) (*x509.Certificate, error) { return ecIdentity("o", elliptic.P256())().cert, nil }, dsig.ErrSignature},
		"RSA key":   {func(*xmltree.Node) (*x509.Certificate, error) { return rsaKey().cert, nil }, dsig.ErrKey},
	} {
		if err := verify(t, doc, dsig.Policy{IDs: ids, Key: c.key}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := dsig.Verify(nil, as(p256())); !errors.Is(err, dsig.ErrFormat) {
		t.Errorf("no signature: %v", err)
	}
	if err := verify(t, doc, dsig.Policy{Key: as(p256()).Key}); !errors.Is(err, dsig.ErrReference) {
		t.Errorf("no id attribute declared: %v", err)
	}
}

func TestMaxRefs(t *testing.T) {
	root := parse(t, withSignature(plain, nil))
	refs := make([]dsig.Ref, 11)
	for i := range refs {
		refs[i] = dsig.Ref{Node: find(t, root, "Body"), URI: "#id-1"}
	}
	sig, err := dsig.Sign(p256().key, refs, dsig.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := as(p256())
	if err := verify(t, withSignature(plain, sig), p); !errors.Is(err, dsig.ErrReference) {
		t.Errorf("11 references: %v", err)
	}
	p.MaxRefs = 11
	if err := verify(t, withSignature(plain, sig), p); err != nil {
		t.Error(err)
	}
}

func TestErrorsDoNotQuoteTheDocument(t *testing.T) {
	doc := sign(t, p256(), nil)
	for _, c := range [][2]string{
		{`URI="#id-1"`, `URI="#SECRET"`},
		{dsig.SHA256, "SECRET"},
		{dsig.ECDSASHA256, "SECRET"},
		{"<ds:DigestValue>", "<ds:DigestValue>SECRET*"},
		{"<ds:KeyInfo>", "<SECRET/><ds:KeyInfo>"},
		{"<m:Body ", `<m:Copy u:Id="TS-1">SECRET</m:Copy><m:Body `},
	} {
		err := verify(t, edit(t, doc, c[0], c[1]), as(p256()))
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%v", err)
		}
	}
}
