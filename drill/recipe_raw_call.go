package drill

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/des" //nolint:gosec // the platform's choice for answers
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// errRefused: Recip-e answered that it does not do it.
var errRefused = errors.New("drill: refused by Recip-e")

// call makes one call of Recip-e. The answer is that to the question only as far as the key of this process opens it.
func (r *plainRecipe) call(ctx context.Context, op recipeOp, param, clear string) (*xmltree.Node, bool, error) {
	role, service := "prescriber", servicePrescriber
	if r.at.org != nil {
		role, service = "executor", serviceExecutor
	}
	sealed, err := r.seal(ctx, etee.RecipeIdentifier, fmt.Appendf(nil, `<r:%s xmlns:r="%s%s">%s</r:%s>`, op.param, nsRecipeSealed, role, param, op.param))
	if err != nil {
		return nil, false, keyTrouble(err)
	}
	p, otherwise, err := r.ask(ctx, service, nsRecipe+":"+op.action, fmt.Appendf(nil,
		`<v4:%sRequest xmlns:v4=%q Id=%q IssueInstant=%q ProgramId="Drill/1.0"><Secured%sRequest><SecuredContent>%s</SecuredContent></Secured%sRequest>%s</v4:%sRequest>`,
		op.stem, nsRecipe, "id"+rand.Text(), time.Now().Format(instantLayout), op.stem, sealed, op.stem, clear, op.stem), secured)
	if err != nil {
		return nil, otherwise, err
	}
	content, err := firstBytes(p, "SecuredContent")
	if err != nil {
		return nil, otherwise, err
	}
	plain, err := r.decrypt(content)
	if err != nil {
		return nil, otherwise, err
	}
	n, err := xmltree.Parse(plain, xmltree.Limits{})
	if err != nil {
		return nil, otherwise, err
	}
	if code, err := firstText(n, "code"); err != nil || code != "100" && code != "200" {
		return nil, otherwise, errRefused
	}
	return n, otherwise, nil
}

// decrypt opens an answer: 3DES in ECB mode (dossier 04 9.4).
func (r *plainRecipe) decrypt(content []byte) ([]byte, error) {
	c, err := des.NewTripleDESCipher(r.answer[:])
	if err != nil {
		return nil, err
	}
	if len(content) == 0 || len(content)%des.BlockSize != 0 {
		return nil, errNoAnswer
	}
	out := make([]byte, len(content))
	for i := 0; i < len(content); i += des.BlockSize {
		c.Decrypt(out[i:], content[i:])
	}
	pad := int(out[len(out)-1])
	if pad == 0 || pad > des.BlockSize || !bytes.HasSuffix(out, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errNoAnswer
	}
	return out[:len(out)-pad], nil
}

func (r *plainRecipe) answerKey() string { return base64.StdEncoding.EncodeToString(r.answer[:]) }

// recipeOp is what an operation is called in the three places where it has a name.
type recipeOp struct{ action, stem, param string }

var (
	opCreate  = recipeOp{"createPrescription", "CreatePrescription", "createPrescriptionParam"}
	opGet     = recipeOp{"getPrescriptionForExecutor", "GetPrescriptionForExecutor", "getPrescriptionForExecutorParam"}
	opDeliver = recipeOp{"markAsDelivered", "MarkAsDelivered", "markAsDeliveredParam"}
	opArchive = recipeOp{"markAsArchived", "MarkAsArchived", "markAsArchivedParam"}
)

// keyTrouble is how the official module tells that it could not seal.
func keyTrouble(err error) error {
	if e, ok := errors.AsType[*soapError](err); ok && e.fault.SOA != nil {
		return fmt.Errorf("drill: [ERR200018] technical error: %w", err)
	}
	return fmt.Errorf("drill: [ERR500004] Error retrieving new key: %w", err)
}

// create makes a prescription and returns the RID that the answer shows, whoever it belongs to.
func (r *plainRecipe) create(ctx context.Context, patient sandbox.Patient, label string, content []byte, expires time.Time) (rid string, otherwise bool, err error) {
	key, err := r.newKey(ctx, patient.SSIN.Reveal())
	if err != nil {
		return "", false, keyTrouble(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(content); err != nil {
		return "", false, err
	}
	if err := z.Close(); err != nil {
		return "", false, err
	}
	sealed, err := r.sealer.Seal(zipped.Bytes(), etee.ForKEK(key))
	if err != nil {
		return "", false, err
	}
	id := base64.StdEncoding.EncodeToString(key.ID())
	n, otherwise, err := r.call(ctx, opCreate,
		"<patientId>"+patient.SSIN.Reveal()+"</patientId><prescription>"+base64.StdEncoding.EncodeToString(sealed)+"</prescription><prescriptionType>"+prescriptionType+
			"</prescriptionType><feedbackRequested>false</feedbackRequested><keyId>"+id+"</keyId><symmKey>"+r.answerKey()+"</symmKey><prescriberLabel>"+label+
			"</prescriberLabel><expirationDate>"+expires.Format(time.DateOnly)+"</expirationDate>",
		"<AdministrativeInformation><PrescriptionType>"+prescriptionType+"</PrescriptionType><PrescriptionVersion>kmehr_1.29</PrescriptionVersion>"+
			"<ReferenceSourceVersion>samv2:1</ReferenceSourceVersion><KeyIdentifier>"+base64.StdEncoding.EncodeToString([]byte(id))+"</KeyIdentifier></AdministrativeInformation>")
	if err != nil {
		return "", otherwise, err
	}
	rid, err = firstText(n, "rid")
	return rid, otherwise, err
}

// fetch gets a prescription and returns the RID and the content that the answer shows.
func (r *plainRecipe) fetch(ctx context.Context, rid string) (shownRID string, content []byte, otherwise bool, err error) {
	n, otherwise, err := r.call(ctx, opGet, r.about(rid)+"<version>v1</version>", "<DisablePatientInsurabilityCheckParam>true</DisablePatientInsurabilityCheckParam>")
	if err != nil {
		return "", nil, otherwise, err
	}
	id, err := firstText(n, "encryptionKeyId")
	if err != nil {
		return "", nil, otherwise, err
	}
	key, err := r.knownKey(ctx, id)
	if err != nil {
		return "", nil, otherwise, keyTrouble(err)
	}
	zipped, err := r.open(n, "prescription", etee.WithKEK(key))
	if err != nil {
		return "", nil, otherwise, err
	}
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return "", nil, otherwise, err
	}
	if content, err = io.ReadAll(io.LimitReader(z, contentLimit)); err != nil {
		return "", nil, otherwise, err
	}
	shownRID, err = firstText(n, "rid")
	return shownRID, content, otherwise, err
}

// mark tells Recip-e what became of a prescription.
func (r *plainRecipe) mark(ctx context.Context, op recipeOp, rid string) (otherwise bool, err error) {
	_, otherwise, err = r.call(ctx, op, r.about(rid), "")
	return otherwise, err
}

func (r *plainRecipe) about(rid string) string {
	return "<executorId>" + r.at.number() + "</executorId><rid>" + rid + "</rid><symmKey>" + r.answerKey() + "</symmKey>"
}
