package main

import (
	"errors"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// rxParty is who prescribes or dispenses: a key store of the sandbox and who it belongs to.
type rxParty struct {
	Store []byte `json:"store"`           // PKCS#12
	Login []byte `json:"login,omitempty"` // of who logs in; nil = the same
	SSIN  string `json:"ssin"`            // of who logs in
	NIHII string `json:"nihii"`
}

// rxPassword is that of the sandbox's key stores here.
const rxPassword = "crashtest"

func (p *platform) parties(w *world) (err error) {
	doctor, pharmacy := p.Person(identity.Doctor, 0), p.Organisation(identity.Pharmacy, 0)
	if doctor == nil || pharmacy == nil || pharmacy.Holder == nil {
		return errors.New("the sandbox has no doctor or no pharmacy")
	}
	w.Doctor = &rxParty{SSIN: doctor.SSIN.Reveal(), NIHII: doctor.NIHII.Full()}
	w.Pharmacy = &rxParty{SSIN: pharmacy.Holder.SSIN.Reveal(), NIHII: pharmacy.Number}
	if w.Doctor.Store, err = doctor.Keystore(rxPassword); err != nil {
		return err
	}
	if w.Pharmacy.Store, err = pharmacy.Keystore(rxPassword); err != nil {
		return err
	}
	w.Pharmacy.Login, err = pharmacy.Holder.Keystore(rxPassword)
	return err
}

// rxLate is how long after the check of its timestamp a prescription may be executed: the time that the sandbox needs on a
// busy machine.
const rxLate = 3 * time.Second

// badPrescribing is the same day for prescriptions: 10 % of the answers are dropped after the execution, 3 % of the exchanges
// lost, 3 % refused for a while, 20 % slow before the execution, and some answers cannot be opened.
const badPrescribing = `
recipe-presc  0 to_end lost_ack p=0.1
recipe-exec   0 to_end lost_ack p=0.1
recipe-direct 0 to_end lost_ack p=0.1
recipe-presc  0 to_end loss     p=0.03
recipe-exec   0 to_end loss     p=0.03
recipe-direct 0 to_end loss     p=0.03
recipe-presc  0 to_end fault    code=SOA-02002;p=0.03
recipe-exec   0 to_end fault    code=SOA-02002;p=0.03
recipe-presc  0 to_end corrupt  how=key;p=0.02
recipe-exec   0 to_end corrupt  how=key;p=0.02
kgss          0 to_end loss     p=0.05
recipe-presc  0 to_end slow     median_ms=15;sigma=1;cap_ms=200;p=0.2;late=1
recipe-exec   0 to_end slow     median_ms=15;sigma=1;cap_ms=200;p=0.2;late=1`

var rxServices = []string{"recipe-presc", "recipe-exec", "recipe-direct"}

// misprescribe makes Recip-e behave as faults say; lists have what is new a little later, two on a page.
func (p *platform) misprescribe(faults string) error {
	p.SetRecipe(sandbox.RecipeBehaviour{ListLag: lag, PageSize: 2})
	sc, err := sandbox.ParseScript(faults)
	if err != nil {
		return err
	}
	_, err = p.Apply(sc)
	return err
}

// behavedRx is what Recip-e did to everybody.
func (p *platform) behavedRx() behaved {
	st := p.State()
	b := behaved{
		Tokens: st.Effects["sts.issued"], Doubles: st.Effects["recipe.repeated"],
		Effects: st.Effects["recipe.created"] + st.Effects["recipe.delivered"] + st.Effects["recipe.archived"] + st.Effects["recipe.revoked"],
	}
	for _, s := range rxServices {
		b.Dropped += st.Hits[s]["lost_ack"]
		b.Late += st.Hits[s]["slow"]
		b.Expired += st.Counters[s+".refused.SOA-01001"]
		b.Requests += st.Requests[s]
	}
	return b
}
