package etee

// Code is one finding about a sealed message or an ETK, under the name that the official library gives it (dossier 02 A.2
// and B.5). It is an error value: errors.Is(err, etee.DecryptionPrivateKeyNotFound).
type Code string

// Error names the finding. It holds no personal data.
func (c Code) Error() string { return "etee: " + string(c) }

// SafeError is Error: package fault may print it.
func (c Code) SafeError() string { return c.Error() }

// Findings after which nothing more can be looked at.
const (
	OuterStructureIncorrect Code = "OUTER_SIGNED_DATA_STRUCTURE_INCORRECT"
	InnerStructureIncorrect Code = "INNER_SIGNED_DATA_STRUCTURE_INCORRECT"
	OuterContentMissing     Code = "OUTER_SIGNED_DATA_CONTENT_MISSING"
	InnerContentMissing     Code = "INNER_SIGNED_DATA_CONTENT_MISSING"
	// Also for no signer at all.
	OuterSigners            Code = "MESSAGE_OUTER_SIGNED_PART_HAS_MORE_THAN_ONE_SIGNER_INFORMATION"
	InnerSigners            Code = "MESSAGE_INNER_SIGNED_PART_HAS_MORE_THAN_ONE_SIGNER_INFORMATION"
	OuterCertificatesBroken Code = "MESSAGE_OUTER_SIGNED_PART_CONTAINS_INCORRECTLY_ENCODED_CERTIFICATES_SET"
	InnerCertificatesBroken Code = "MESSAGE_INNER_SIGNED_PART_CONTAINS_INCORRECTLY_ENCODED_CERTIFICATES_SET"

	EnvelopeStructureIncorrect   Code = "ENVELOPED_DATA_STRUCTURE_INCORRECT"
	NoKeyTransRecipients         Code = "ENVELOPED_DATA_CONTAINS_NO_KEYTRANSRECIPIENTINFOS"
	NoKEKRecipients              Code = "ENVELOPED_DATA_CONTAINS_NO_KEKRECIPIENTINFOS"
	DecryptionPrivateKeyNotFound Code = "DECRYPTION_PRIVATE_KEY_NOT_FOUND"
	SecretKeyCannotDecrypt       Code = "SECRET_KEY_CAN_NOT_DECRYPT_KEKRECIPIENTINFOS"
)

// Findings about the encryption.
const (
	ContentCipherUnauthorized    Code = "DECRYPTION_SYMMETRIC_KEY_ALGORITHM_UNAUTHORIZED"
	KeyTransportUnauthorized     Code = "DECRYPTION_ASYMMETRIC_KEY_ALGORITHM_UNAUTHORIZED"
	DecryptionKeyTooShort        Code = "DECRYPTION_ASYMMETRIC_KEY_LENGTH_UNAUTHORIZED"
	DecryptionSymmetricKeyLength Code = "DECRYPTION_SYMMETRIC_KEY_LENGTH_UNAUTHORIZED"
)

// Findings about the signatures and their certificates.
const (
	// MessageIntegrityInvalid: the two layers are not by the same signer or not under the same policy.
	MessageIntegrityInvalid Code = "MESSAGE_INTEGRITY_INVALID"

	OuterSignatureAlgorithm  Code = "OUTER_SIGNATURE_ALGORITHM_UNAUTHORIZED"
	InnerSignatureAlgorithm  Code = "INNER_SIGNATURE_ALGORITHM_UNAUTHORIZED"
	OuterDigestAlgorithm     Code = "OUTER_SIGNATURE_DIGEST_ALGORITHM_UNAUTHORIZED"
	InnerDigestAlgorithm     Code = "INNER_SIGNATURE_DIGEST_ALGORITHM_UNAUTHORIZED"
	OuterKeyTooShort         Code = "OUTER_SIGNATURE_KEY_LENGTH_UNAUTHORIZED"
	InnerKeyTooShort         Code = "INNER_SIGNATURE_KEY_LENGTH_UNAUTHORIZED"
	OuterCertificateMissing  Code = "OUTER_CERTIFICATE_EXPECTED_BUT_NOT_PRESENT"
	InnerCertificateMissing  Code = "INNER_CERTIFICATE_EXPECTED_BUT_NOT_PRESENT"
	OuterKeyUsage            Code = "OUTER_CERTIFICATE_HAS_INVALID_KEYUSAGE"
	InnerKeyUsage            Code = "INNER_CERTIFICATE_HAS_INVALID_KEYUSAGE"
	OuterCertificateExpired  Code = "OUTER_CERTIFICATE_EXPIRED"
	InnerCertificateExpired  Code = "INNER_CERTIFICATE_EXPIRED"
	OuterCertificateTooEarly Code = "OUTER_CERTIFICATE_NOT_YET_VALID"
	InnerCertificateTooEarly Code = "INNER_CERTIFICATE_NOT_YET_VALID"
	OuterChainNotTrusted     Code = "OUTER_CERTIFICATE_CHAIN_NOT_TRUSTED"
	InnerChainNotTrusted     Code = "INNER_CERTIFICATE_CHAIN_NOT_TRUSTED"
	// The content or its attributes are not what was signed.
	OuterNotVerified Code = "OUTER_SIGNATURE_COULD_NOT_BE_VERIFIED"
	InnerNotVerified Code = "INNER_SIGNATURE_COULD_NOT_BE_VERIFIED"
	// The signature value does not belong to the certificate.
	OuterSignatureMismatch Code = "OUTER_SIGNATURE_DOES_NOT_MATCH_AUTHENTICATION_CERTIFICATE"
	InnerSignatureMismatch Code = "INNER_SIGNATURE_DOES_NOT_MATCH_SIGNATURE_CERTIFICATE"
	OuterNotExpectedSigner Code = "AUTHENTICATION_CERTIFICATE_NOT_IN_LIST_EXPECTED_SIGNERS"
	InnerNotExpectedSigner Code = "SIGNATURE_CERTIFICATE_NOT_IN_LIST_EXPECTED_SIGNERS"
)

// Warnings about a message. [Policy.Refuse] makes errors of them.
const (
	SigningTimeMissing Code = "SIGNING_TIME_MISSING"
	// SigningTimeExpired: the claimed time is not near the time at which the message was opened, or received.
	SigningTimeExpired Code = "SIGNING_TIME_EXPIRED"
)

// Findings about an ETK.
const (
	ETKEncryptionSignature     Code = "ETK_ENCRYPTION_CERT_SIGNATURE_NOT_VALID"
	ETKEncryptionExpired       Code = "ETK_ENCRYPTION_CERT_EXPIRED"
	ETKEncryptionTooEarly      Code = "ETK_ENCRYPTION_CERT_NOT_YET_VALID"
	ETKEncryptionKeyUsage      Code = "ETK_ENCRYPTION_CERT_HAS_INVALID_KEYUSAGE"
	ETKAuthenticationExpired   Code = "ETK_AUTHENTICATION_CERT_EXPIRED"
	ETKAuthenticationTooEarly  Code = "ETK_AUTHENTICATION_CERT_NOT_YET_VALID"
	ETKAuthenticationKeyUsage  Code = "ETK_AUTHENTICATION_CERT_HAS_INVALID_KEYUSAGE"
	ETKAuthenticationStatus    Code = "ETK_AUTHENTICATION_CERT_STATUS_UNKNOWN"
	ETKCertificatesDoNotMatch  Code = "ETK_CERTS_DO_NOT_MATCH"
	ETKAuthenticationKeyBroken Code = "ETK_AUTHENTICATION_CERT_HAS_INVALID_KEY"

	// Names of our own, for what the official library does not look at.

	// ETKEncryptionKey: the encryption key is not RSA, or shorter than 2048 bits.
	ETKEncryptionKey Code = "ETK_ENCRYPTION_CERT_HAS_INVALID_KEY"
	// ETKRegistrationSignature: the registration authority's signature does not verify.
	ETKRegistrationSignature Code = "ETK_REGISTRATION_SIGNATURE_NOT_VALID"
	// ETKRegistrationNotTrusted, a warning: the registration authority's certificate is not in the token, or its issuer
	// is not trusted.
	ETKRegistrationNotTrusted Code = "ETK_REGISTRATION_AUTHORITY_NOT_TRUSTED"
)
