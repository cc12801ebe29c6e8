import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import javax.crypto.SecretKey;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.CMSAttributes;
import org.bouncycastle.asn1.cms.Time;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedDataStreamGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.CMSSignedDataStreamGenerator;
import org.bouncycastle.cms.KEKRecipientInformation;
import org.bouncycastle.cms.KeyTransRecipientInformation;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInfoGenerator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKEKEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKEKRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/**
 * Seals and opens messages with BouncyCastle, as a second implementation beside the Go code. Standard input: a number of
 * requests, each a number of fields, each a length and bytes (32-bit big endian numbers); the first field is the
 * command. Standard output: as many answers in the same form, "ok" and results or "error" and a text.
 */
public final class Bouncy {
  public static void main(String[] args) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    DataInputStream in = new DataInputStream(System.in);
    DataOutputStream out = new DataOutputStream(System.out);
    for (int n = in.readInt(); n > 0; n--) {
      byte[][] f = new byte[in.readInt()][];
      for (int i = 0; i < f.length; i++) {
        f[i] = new byte[in.readInt()];
        in.readFully(f[i]);
      }
      List<byte[]> answer = new ArrayList<>();
      try {
        answer.add(text("ok"));
        if (string(f[0]).equals("seal")) {
          answer.add(seal(f));
        } else {
          answer.addAll(open(f));
        }
      } catch (Exception e) {
        answer = Arrays.asList(text("error"), text(e.toString()));
      }
      out.writeInt(answer.size());
      for (byte[] a : answer) {
        out.writeInt(a.length);
        out.write(a);
      }
    }
    out.flush();
  }

  static byte[] text(String s) {
    return s.getBytes(StandardCharsets.UTF_8);
  }

  static String string(byte[] b) {
    return new String(b, StandardCharsets.UTF_8);
  }

  static PrivateKey key(byte[] pkcs8) throws Exception {
    return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
  }

  static List<X509Certificate> certificates(byte[] der) throws Exception {
    List<X509Certificate> list = new ArrayList<>();
    if (der.length > 0) {
      CertificateFactory factory = CertificateFactory.getInstance("X.509");
      for (java.security.cert.Certificate c : factory.generateCertificates(new ByteArrayInputStream(der))) {
        list.add((X509Certificate) c);
      }
    }
    return list;
  }

  // seal: content, key, certificates (signer first), recipients, key identifier, key-encryption key, flags
  static byte[] seal(byte[][] f) throws Exception {
    List<String> flags = Arrays.asList(string(f[7]).split(","));
    PrivateKey key = key(f[2]);
    List<X509Certificate> chain = certificates(f[3]);
    byte[] inner = sign(f[1], key, chain, flags, flags.contains("innercerts"));
    byte[] middle = encrypt(inner, certificates(f[4]), f[5], f[6], flags);
    return sign(middle, key, chain, flags, true);
  }

  static byte[] sign(byte[] content, PrivateKey key, List<X509Certificate> chain, List<String> flags, boolean include)
      throws Exception {
    String algorithm = flags.contains("pkcs1") ? "SHA256withRSA" : "SHA256withRSAandMGF1";
    ContentSigner signer = new JcaContentSignerBuilder(algorithm).setProvider("BC").build(key);
    JcaSignerInfoGeneratorBuilder builder =
        new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider("BC").build());
    builder.setDirectSignature(flags.contains("direct"));
    SignerInfoGenerator info = builder.build(signer, chain.get(0));
    if (flags.contains("stream")) {
      CMSSignedDataStreamGenerator g = new CMSSignedDataStreamGenerator();
      g.addSignerInfoGenerator(info);
      if (include) {
        g.addCertificates(new JcaCertStore(chain));
      }
      g.setBufferSize(1000);
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      try (OutputStream w = g.open(out, true)) {
        w.write(content);
      }
      return out.toByteArray();
    }
    CMSSignedDataGenerator g = new CMSSignedDataGenerator();
    g.addSignerInfoGenerator(info);
    if (include) {
      g.addCertificates(new JcaCertStore(chain));
    }
    CMSSignedData signed = g.generate(new CMSProcessableByteArray(content), true);
    return flags.contains("der") ? signed.toASN1Structure().getEncoded(ASN1Encoding.DER) : signed.getEncoded();
  }

  static byte[] encrypt(byte[] content, List<X509Certificate> to, byte[] kekID, byte[] kek, List<String> flags)
      throws Exception {
    List<RecipientInfoGenerator> recipients = new ArrayList<>();
    for (X509Certificate c : to) {
      recipients.add(keyTrans(c, flags));
    }
    if (kek.length > 0) {
      SecretKey wrapper = new SecretKeySpec(kek, "AES");
      recipients.add(new JceKEKRecipientInfoGenerator(kekID, wrapper).setProvider("BC"));
    }
    ASN1ObjectIdentifier cipher = flags.contains("aes256") ? CMSAlgorithm.AES256_CBC : CMSAlgorithm.AES128_CBC;
    OutputEncryptor encryptor = new JceCMSContentEncryptorBuilder(cipher).setProvider("BC").build();
    if (flags.contains("stream")) {
      CMSEnvelopedDataStreamGenerator g = new CMSEnvelopedDataStreamGenerator();
      recipients.forEach(g::addRecipientInfoGenerator);
      g.setBufferSize(1000);
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      try (OutputStream w = g.open(out, encryptor)) {
        w.write(content);
      }
      return out.toByteArray();
    }
    CMSEnvelopedDataGenerator g = new CMSEnvelopedDataGenerator();
    recipients.forEach(g::addRecipientInfoGenerator);
    CMSEnvelopedData enveloped = g.generate(new CMSProcessableByteArray(content), encryptor);
    return flags.contains("der") ? enveloped.toASN1Structure().getEncoded(ASN1Encoding.DER) : enveloped.getEncoded();
  }

  static RecipientInfoGenerator keyTrans(X509Certificate c, List<String> flags) throws Exception {
    if (!flags.contains("oaep")) {
      return new JceKeyTransRecipientInfoGenerator(c).setProvider("BC");
    }
    // What Java means by OAEPWithSHA-256AndMGF1Padding: the mask with SHA-1.
    OAEPParameterSpec spec =
        new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA1, PSource.PSpecified.DEFAULT);
    AlgorithmIdentifier id =
        new JcaAlgorithmParametersConverter()
            .getAlgorithmIdentifier(org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers.id_RSAES_OAEP, spec);
    return new JceKeyTransRecipientInfoGenerator(c, id).setProvider("BC");
  }

  // open: message, private key, key-encryption key. Answer: content, outer certificate, signing time, lengths of the layers.
  static List<byte[]> open(byte[][] f) throws Exception {
    CMSSignedData outer = new CMSSignedData(f[1]);
    X509CertificateHolder sender = verify(outer, null);
    byte[] middle = (byte[]) outer.getSignedContent().getContent();
    byte[] innerBytes = decrypt(middle, f[2], f[3]);
    CMSSignedData inner = new CMSSignedData(innerBytes);
    verify(inner, sender);
    SignerInformation signer = outer.getSignerInfos().getSigners().iterator().next();
    Attribute time = signer.getSignedAttributes() == null ? null : signer.getSignedAttributes().get(CMSAttributes.signingTime);
    String at = time == null ? "" : Long.toString(Time.getInstance(time.getAttrValues().getObjectAt(0)).getDate().getTime() / 1000);
    return Arrays.asList((byte[]) inner.getSignedContent().getContent(), sender.getEncoded(), text(at));
  }

  @SuppressWarnings("unchecked")
  static X509CertificateHolder verify(CMSSignedData data, X509CertificateHolder given) throws Exception {
    Collection<SignerInformation> signers = data.getSignerInfos().getSigners();
    if (signers.size() != 1) {
      throw new IOException(signers.size() + " signers");
    }
    SignerInformation signer = signers.iterator().next();
    Collection<X509CertificateHolder> found = data.getCertificates().getMatches(signer.getSID());
    if (found.isEmpty() && given != null) {
      found = Collections.singletonList(given);
    }
    X509CertificateHolder holder = found.iterator().next();
    if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(holder))) {
      throw new IOException("signature");
    }
    return holder;
  }

  static byte[] decrypt(byte[] middle, byte[] key, byte[] kek) throws Exception {
    for (RecipientInformation r : new CMSEnvelopedData(middle).getRecipientInfos().getRecipients()) {
      if (kek.length > 0 && r instanceof KEKRecipientInformation) {
        return r.getContent(new JceKEKEnvelopedRecipient(new SecretKeySpec(kek, "AES")).setProvider("BC"));
      }
      if (key.length > 0 && r instanceof KeyTransRecipientInformation) {
        try {
          return r.getContent(new JceKeyTransEnvelopedRecipient(key(key)).setProvider("BC"));
        } catch (org.bouncycastle.cms.CMSException | RuntimeException e) {
          continue; // another recipient's
        }
      }
    }
    throw new IOException("no recipient");
  }
}
