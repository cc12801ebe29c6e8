package sandbox

import (
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

type rsaKey = rsa.PrivateKey

// Object identifiers of the name parts that occur in Belgian certificates.
var nameOIDs = map[string]asn1.ObjectIdentifier{
	"C":            {2, 5, 4, 6},
	"O":            {2, 5, 4, 10},
	"OU":           {2, 5, 4, 11},
	"CN":           {2, 5, 4, 3},
	"SN":           {2, 5, 4, 4},
	"GN":           {2, 5, 4, 42},
	"SERIALNUMBER": {2, 5, 4, 5},
}

// rdn builds a name from type, value pairs in the order of the encoding. pkix.Name cannot say in which order several
// OU stand, and clients of eHealth read them one by one (dossier 01 B.4).
func rdn(pairs ...string) pkix.RDNSequence {
	var seq pkix.RDNSequence
	for i := 0; i+1 < len(pairs); i += 2 {
		seq = append(seq, pkix.RelativeDistinguishedNameSET{{Type: nameOIDs[pairs[i]], Value: pairs[i+1]}})
	}
	return seq
}

func marshalName(seq pkix.RDNSequence) ([]byte, error) {
	raw, err := asn1.Marshal(seq)
	if err != nil {
		return nil, fmt.Errorf("sandbox: subject: %w", err)
	}
	return raw, nil
}
