package redact

import "bytes"

// rank says how much a name tells about its value.
type rank uint8

const (
	plain    rank = iota
	opaque        // a document: masked as a value, no sign of anything in a text
	secret        // masked; times, durations and truth values are not the secret itself
	strong        // a secret that is also masked after "name: value" in a sentence
	personal      // masked whatever it is, times of birth too
)

// words are names of which one word says it all, by length.
var words = byLength(map[rank][]string{
	opaque:   {"body", "xml", "envelope", "payload", "soap", "saml"},
	secret:   {"otp", "bearer", "jwt"},
	strong:   {"pin", "puk", "pwd", "pw"},
	personal: {"ssin", "niss", "inss", "insz", "nrn", "rrn", "patient", "surname", "dob", "birthday"},
})

type word struct {
	text []byte
	rank rank
}

func byLength(all map[rank][]string) (out [16][]word) {
	for r, texts := range all {
		for _, t := range texts {
			out[len(t)] = append(out[len(t)], word{[]byte(t), r})
		}
	}
	return out
}

// inside are names that count wherever they stand, separators left aside (accessToken, api_key),
// by first letter.
var inside = byInitial(map[rank][]string{
	strong: {"password", "passwd", "passphrase", "wachtwoord", "motdepasse", "pincode"},
	secret: {
		"secret", "token", "assertion", "authorization", "cookie", "credential", "apikey", "privatekey", "sessionkey", "symmkey",
	},
	personal: {"firstname", "lastname", "givenname", "familyname", "birthdate", "dateofbirth"},
})

func byInitial(all map[rank][]string) (out [26][]word) {
	for r, texts := range all {
		for _, t := range texts {
			out[t[0]-'a'] = append(out[t[0]-'a'], word{[]byte(t), r})
		}
	}
	return out
}

// counts are last words of keys that count or measure something else's content.
var counts = byLength(map[rank][]string{
	plain: {"count", "len", "length", "size", "bytes", "total", "attempts", "seconds", "minutes", "ms"},
})

// maxKey bounds what is looked at of a name.
const maxKey = 64

// Sensitive reports whether values under this key are masked. Keys are read word by word in any
// spelling: cardPIN, card_pin and card-pin hold the word pin, mapping does not.
func Sensitive(key string) bool {
	r, _ := judge(key)
	return r != plain
}

// judge returns the rank of a key, and whether its last word counts something.
func judge(key string) (r rank, counting bool) {
	if len(key) > maxKey {
		key = key[len(key)-maxKey:]
	}
	var norm, w [maxKey]byte
	n, wn := 0, 0
	flush := func() {
		for wn > 0 && isDigit(w[wn-1]) { // pin2, token1
			wn--
		}
		if wn > 0 {
			r = max(r, lookup(words, w[:wn]))
			counting = listed(counts, w[:wn])
		}
		wn = 0
	}
	for i := range len(key) {
		c := key[i]
		switch {
		case !isAlnum(c):
			flush()
			continue
		case isUpper(c) && i > 0 && (isLower(key[i-1]) || isUpper(key[i-1]) && i+1 < len(key) && isLower(key[i+1])):
			flush()
		}
		norm[n], w[wn] = lower(c), lower(c)
		n, wn = n+1, wn+1
	}
	flush()
	return max(r, within(norm[:n])), counting
}

// within looks for the names that count wherever they stand.
func within(norm []byte) (r rank) {
	for i, c := range norm {
		if !isLower(c) {
			continue
		}
		for _, w := range inside[c-'a'] {
			if bytes.HasPrefix(norm[i:], w.text) {
				r = max(r, w.rank)
			}
		}
	}
	return r
}

func lookup(list [16][]word, w []byte) rank {
	if len(w) >= len(list) {
		return plain
	}
	for i := range list[len(w)] {
		if bytes.Equal(list[len(w)][i].text, w) {
			return list[len(w)][i].rank
		}
	}
	return plain
}

func listed(list [16][]word, w []byte) bool {
	if len(w) >= len(list) {
		return false
	}
	for i := range list[len(w)] {
		if bytes.Equal(list[len(w)][i].text, w) {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isAlnum(c byte) bool { return isDigit(c) || isUpper(c) || isLower(c) }

func lower(c byte) byte {
	if isUpper(c) {
		return c + 'a' - 'A'
	}
	return c
}
