package sandbox

import (
	"bytes"
	"crypto/des" //nolint:gosec // its block size
	"crypto/rand"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Faults that only Recip-e has (dossier 04 16.8), for services recipe-presc, recipe-exec and recipe-direct. They are not
// in the dossier's grammar:
//
//	inner    code=300;message=error.x;status=Delivered;by=21999994;op=markAsDelivered;p=1;exec=0
//	outer    code=urn:be:fgov:ehealth:2.0:status:Responder;message=unavailable;op=…;p=1;exec=0
//	corrupt  how=bytes|text|key;op=…;p=1
//	missing  op=…;p=1
//	lag      s=30
//
// The service asks for them when it has found out who calls and what for; of the first four the first that fires decides.
// op limits a step to one operation, named as in the SOAPAction with a small first letter. exec is the probability that the
// operation is executed all the same; with corrupt and missing it always is. Delays before and after the execution are slow
// with and without late=1, a key that the key service refuses is refuse_auth on kgss. key_rotate may stand on these services
// as well as on etk: either way it is the depot's token and the key that Recip-e opens with.

// InnerStatus: the answer has an inner status that is not success.
type InnerStatus struct {
	Code    int    // status/code; 0 = 300
	Message string // messageCode; "" = "error.sandbox.scripted"
	Status  string // prescriptionStatus; "" = none
	By      string // statusUpdater; "" = none
	Op      string // operation; "" = every one
	P       float64
	Exec    float64
}

// OuterStatus: the answer has another outer status than Success, and no sealed content.
type OuterStatus struct {
	Code    string // Value of StatusCode; "" = "urn:be:fgov:ehealth:2.0:status:Responder"
	Message string // StatusMessage; "" = none
	Op      string // operation; "" = every one
	P       float64
	Exec    float64
}

// CorruptAnswer: the operation is executed, and the sealed answer cannot be used. How is "bytes" (a block of it was
// changed), "text" (it opens, and what is in it is not XML) or "key" (it is sealed under another key); "" = "bytes".
type CorruptAnswer struct {
	How string
	Op  string // operation; "" = every one
	P   float64
}

// MissingAnswer: the operation is executed, and the answer says Success without sealed content.
type MissingAnswer struct {
	Op string // operation; "" = every one
	P  float64
}

// ListLag: lists do not show prescriptions that are younger than By.
type ListLag struct{ By time.Duration }

// Kind returns "inner".
func (InnerStatus) Kind() string { return "inner" }

// Kind returns "outer".
func (OuterStatus) Kind() string { return "outer" }

// Kind returns "corrupt".
func (CorruptAnswer) Kind() string { return "corrupt" }

// Kind returns "missing".
func (MissingAnswer) Kind() string { return "missing" }

// Kind returns "lag".
func (ListLag) Kind() string { return "lag" }

const (
	scriptedMessage = "error.sandbox.scripted"
	outerResponder  = "urn:be:fgov:ehealth:2.0:status:Responder"
)

var (
	recipeGrammar = []string{"recipe-presc", "recipe-exec", "recipe-direct"}
	recipeStates  = []PrescriptionStatus{NotDelivered, InProcess, Delivered, Archived, Revoked, Expired}
	recipeOpName  = regexp.MustCompile(`^[a-z][A-Za-z]{2,40}$`)
	scriptWord    = regexp.MustCompile(`^[!-:<-~]{1,200}$`) // no white space and no ";"
	recipeDigits  = regexp.MustCompile(`^[0-9]{8,11}$`)
)

// wordParam checks a parameter that is written as one word.
func wordParam(key, v string, re *regexp.Regexp) *paramError {
	if v != "" && !re.MatchString(v) {
		return badParam(key, "not accepted")
	}
	return nil
}

func (f InnerStatus) normal() (Fault, *paramError) {
	if f.Code == 0 {
		f.Code = 300
	}
	if f.Message == "" {
		f.Message = scriptedMessage
	}
	if f.Code < 100 || f.Code > 999 || f.Code == 100 || f.Code == 200 {
		return f, badParam("code", "must be a number of three digits, and neither 100 nor 200")
	}
	if f.Status != "" && !slices.Contains(recipeStates, PrescriptionStatus(f.Status)) {
		return f, badParam("status", "unknown status of a prescription")
	}
	for _, err := range []*paramError{
		wordParam("message", f.Message, scriptWord), wordParam("by", f.By, recipeDigits), wordParam("op", f.Op, recipeOpName), fraction("exec", f.Exec),
	} {
		if err != nil {
			return f, err
		}
	}
	var err *paramError
	f.P, err = probability("p", f.P, false)
	return f, err
}

func (f OuterStatus) normal() (Fault, *paramError) {
	if f.Code == "" {
		f.Code = outerResponder
	}
	if f.Code == recipeSuccess {
		return f, badParam("code", "is that of success")
	}
	for _, err := range []*paramError{
		wordParam("code", f.Code, scriptWord), wordParam("message", f.Message, scriptWord), wordParam("op", f.Op, recipeOpName), fraction("exec", f.Exec),
	} {
		if err != nil {
			return f, err
		}
	}
	var err *paramError
	f.P, err = probability("p", f.P, false)
	return f, err
}

func (f CorruptAnswer) normal() (Fault, *paramError) {
	if f.How == "" {
		f.How = "bytes"
	}
	if f.How != "bytes" && f.How != "text" && f.How != "key" {
		return f, badParam("how", "must be bytes, text or key")
	}
	if err := wordParam("op", f.Op, recipeOpName); err != nil {
		return f, err
	}
	var err *paramError
	f.P, err = probability("p", f.P, false)
	return f, err
}

func (f MissingAnswer) normal() (Fault, *paramError) {
	if err := wordParam("op", f.Op, recipeOpName); err != nil {
		return f, err
	}
	var err *paramError
	f.P, err = probability("p", f.P, false)
	return f, err
}

func (f ListLag) normal() (Fault, *paramError) {
	if f.By <= 0 {
		return f, badParam("s", "must be above 0")
	}
	return f, nil
}

// worded appends the parameters that are not empty: pairs of key and value.
func worded(ps []param, pairs ...string) []param {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			ps = append(ps, param{pairs[i], pairs[i+1]})
		}
	}
	return ps
}

func (f InnerStatus) params() []param {
	code, message := "", f.Message
	if f.Code != 0 && f.Code != 300 {
		code = strconv.Itoa(f.Code)
	}
	if message == scriptedMessage {
		message = ""
	}
	ps := worded(nil, "code", code, "message", message, "status", f.Status, "by", f.By, "op", f.Op)
	return differing(differing(ps, "p", defaultP(f.P), 1), "exec", f.Exec, 0)
}

func (f OuterStatus) params() []param {
	code := f.Code
	if code == outerResponder {
		code = ""
	}
	ps := worded(nil, "code", code, "message", f.Message, "op", f.Op)
	return differing(differing(ps, "p", defaultP(f.P), 1), "exec", f.Exec, 0)
}

func (f CorruptAnswer) params() []param {
	how := f.How
	if how == "bytes" {
		how = ""
	}
	return differing(worded(nil, "how", how, "op", f.Op), "p", defaultP(f.P), 1)
}

func (f MissingAnswer) params() []param {
	return differing(worded(nil, "op", f.Op), "p", defaultP(f.P), 1)
}

func (f ListLag) params() []param { return []param{{"s", seconds(f.By)}} }

// recipeVerdict is what the scripts decide about one operation of Recip-e: at most one of the pointers is set. The zero value
// lets everything be as it is.
type recipeVerdict struct {
	inner   *InnerStatus
	outer   *OuterStatus
	corrupt *CorruptAnswer
	missing *MissingAnswer
	idle    bool          // the operation is not executed
	lag     time.Duration // how old a prescription must be for lists to have it: the longest of the steps in force
}

// judgeRecipe draws the verdict on one operation, whose caller is known.
func (e *engine) judgeRecipe(service, op string, now time.Time) recipeVerdict {
	e.mu.Lock()
	defer e.mu.Unlock()
	v, decided := recipeVerdict{}, false
	e.each(service, now, func(st *activeStep) {
		hits := func(only string, p float64) bool {
			if decided || (only != "" && only != op) {
				return false
			}
			decided = e.fires(st, service, p)
			return decided
		}
		switch f := st.Fault.(type) {
		case InnerStatus:
			if hits(f.Op, f.P) {
				v.inner, v.idle = &f, !e.draw(f.Exec)
			}
		case OuterStatus:
			if hits(f.Op, f.P) {
				v.outer, v.idle = &f, !e.draw(f.Exec)
			}
		case CorruptAnswer:
			if hits(f.Op, f.P) {
				v.corrupt = &f
			}
		case MissingAnswer:
			if hits(f.Op, f.P) {
				v.missing = &f
			}
		case ListLag:
			if strings.HasPrefix(op, "list") {
				v.lag = max(v.lag, f.By)
				e.hit(st, service)
			}
		}
	})
	return v
}

// spoil makes of an answer what a corrupt step says. encrypt is the one of the service.
func (f CorruptAnswer) spoil(result, key []byte, encrypt func(plain, key []byte) ([]byte, error)) ([]byte, error) {
	switch f.How {
	case "text":
		return encrypt(result[:len(result)/2], key)
	case "key":
		other := make([]byte, 24)
		_, _ = rand.Read(other) // never fails since Go 1.24
		return encrypt(result, other)
	}
	sealed, err := encrypt(result, key)
	if err != nil {
		return nil, err
	}
	last, err := encrypt(bytes.Repeat([]byte{0xff}, des.BlockSize), key) // a last block that is no padding, whatever the key
	if err != nil {
		return nil, err
	}
	sealed[len(sealed)/2] ^= 0x5a
	copy(sealed[len(sealed)-des.BlockSize:], last)
	return sealed, nil
}
