import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import javax.xml.crypto.Data;
import javax.xml.crypto.KeySelector;
import javax.xml.crypto.dom.DOMCryptoContext;
import javax.xml.crypto.dom.DOMStructure;
import javax.xml.crypto.dom.DOMURIReference;
import javax.xml.crypto.dsig.CanonicalizationMethod;
import javax.xml.crypto.dsig.DigestMethod;
import javax.xml.crypto.dsig.Reference;
import javax.xml.crypto.dsig.SignedInfo;
import javax.xml.crypto.dsig.Transform;
import javax.xml.crypto.dsig.TransformService;
import javax.xml.crypto.dsig.XMLSignature;
import javax.xml.crypto.dsig.XMLSignatureFactory;
import javax.xml.crypto.dsig.dom.DOMSignContext;
import javax.xml.crypto.dsig.dom.DOMValidateContext;
import javax.xml.crypto.dsig.keyinfo.KeyInfo;
import javax.xml.crypto.dsig.keyinfo.KeyInfoFactory;
import javax.xml.crypto.dsig.spec.C14NMethodParameterSpec;
import javax.xml.crypto.dsig.spec.ExcC14NParameterSpec;
import javax.xml.crypto.dsig.spec.TransformParameterSpec;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.w3c.dom.Attr;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;

/**
 * Independent judge for canonical XML and XML signatures, on the public API of
 * the JDK only. Batches of requests, and of answers, are lists of length-prefixed
 * fields on standard input and output; one process serves batch after batch, until
 * the input ends.
 */
public final class Judge {
    static final String WSU =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
    static final String WSSE =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
    static final String RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    static final String ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

    static DocumentBuilder builder;

    public static void main(String[] args) throws Exception {
        DocumentBuilderFactory f = DocumentBuilderFactory.newInstance();
        f.setNamespaceAware(true);
        f.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
        builder = f.newDocumentBuilder();
        builder.setErrorHandler(null);
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
        DataOutputStream out = new DataOutputStream(
            new BufferedOutputStream(new FileOutputStream(FileDescriptor.out)));
        while (true) {
            int n;
            try {
                n = in.readInt();
            } catch (EOFException e) {
                return;
            }
            String command = text(field(in));
            for (int i = 0; i < n; i++) {
                List<byte[]> answer;
                byte[][] fields = new byte[in.readInt()][];
                for (int k = 0; k < fields.length; k++) {
                    fields[k] = field(in);
                }
                try {
                    answer = answer(command, fields);
                } catch (Exception e) {
                    answer = Arrays.asList(bytes("error"), bytes(chain(e)));
                }
                out.writeInt(answer.size());
                for (byte[] a : answer) {
                    out.writeInt(a.length);
                    out.write(a);
                }
            }
            out.flush();
        }
    }

    static byte[] field(DataInputStream in) throws IOException {
        byte[] b = new byte[in.readInt()];
        in.readFully(b);
        return b;
    }

    static String chain(Throwable e) {
        StringBuilder s = new StringBuilder(e.toString());
        for (Throwable c = e.getCause(); c != null; c = c.getCause()) {
            s.append("; ").append(c);
        }
        return s.toString();
    }

    static List<byte[]> answer(String command, byte[][] f) throws Exception {
        switch (command) {
            case "c14n": return c14n(f);
            case "verify": return verify(f);
            case "sign": return sign(f);
            default: throw new IllegalArgumentException("unknown command");
        }
    }

    static byte[] bytes(String s) { return s.getBytes(StandardCharsets.UTF_8); }

    static String text(byte[] b) { return new String(b, StandardCharsets.UTF_8); }

    static Document parse(byte[] b) throws Exception {
        return builder.parse(new ByteArrayInputStream(b));
    }

    static List<String> words(byte[] b) {
        String s = text(b);
        return s.isEmpty() ? Collections.emptyList() : Arrays.asList(s.split(" "));
    }

    /** A context in which every id is the apex: the way to a subtree through public classes. */
    static final class Apex extends DOMCryptoContext {
        final Element element;
        Apex(Element e) { element = e; }
        @Override public Element getElementById(String id) { return element; }
    }

    static final class Pointer implements DOMURIReference {
        final Attr here;
        Pointer(Document d) {
            here = d.createAttribute("URI");
            here.setValue(getURI());
        }
        @Override public Node getHere() { return here; }
        @Override public String getURI() { return "#xpointer(id('apex'))"; }
        @Override public String getType() { return null; }
    }

    static List<byte[]> c14n(byte[][] f) throws Exception {
        Document d = parse(f[0]);
        Element apex = (Element) d.getElementsByTagName("*").item(Integer.parseInt(text(f[1])));
        boolean inclusive = Boolean.parseBoolean(text(f[2]));
        boolean comments = Boolean.parseBoolean(text(f[3]));
        List<String> prefixes = words(f[4]);
        String algorithm = inclusive
            ? (comments ? CanonicalizationMethod.INCLUSIVE_WITH_COMMENTS : CanonicalizationMethod.INCLUSIVE)
            : (comments ? CanonicalizationMethod.EXCLUSIVE_WITH_COMMENTS : CanonicalizationMethod.EXCLUSIVE);
        TransformService service = TransformService.getInstance(algorithm, "DOM");
        service.init(inclusive || prefixes.isEmpty() ? null : new ExcC14NParameterSpec(prefixes));
        Apex context = new Apex(apex);
        service.marshalParams(
            new DOMStructure(d.createElementNS(XMLSignature.XMLNS, "Transform")), context);
        Data data = XMLSignatureFactory.getInstance("DOM").getURIDereferencer()
            .dereference(new Pointer(d), context);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        service.transform(data, context, out);
        return Arrays.asList(bytes("ok"), out.toByteArray());
    }

    static void declareIds(Document d, DOMCryptoContext context) {
        NodeList all = d.getElementsByTagName("*");
        for (int i = 0; i < all.getLength(); i++) {
            Element e = (Element) all.item(i);
            if (e.hasAttributeNS(WSU, "Id")) context.setIdAttributeNS(e, WSU, "Id");
            if (e.hasAttributeNS(null, "Id")) context.setIdAttributeNS(e, null, "Id");
            if (e.hasAttributeNS(null, "AssertionID")) context.setIdAttributeNS(e, null, "AssertionID");
        }
    }

    static X509Certificate certificate(byte[] der) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(der));
    }

    static Element signature(Document d, int index) {
        NodeList all = d.getElementsByTagNameNS(XMLSignature.XMLNS, "Signature");
        if (index > 0) return (Element) all.item(index - 1);
        for (int i = 0; i < all.getLength(); i++) {
            Node parent = all.item(i).getParentNode();
            if (WSSE.equals(parent.getNamespaceURI()) && "Security".equals(parent.getLocalName())) {
                return (Element) all.item(i);
            }
        }
        return (Element) all.item(0);
    }

    static List<byte[]> verify(byte[][] f) throws Exception {
        Document d = parse(f[0]);
        PublicKey key = certificate(f[1]).getPublicKey();
        Element element = signature(d, Integer.parseInt(text(f[2])));
        if (element == null) throw new IllegalArgumentException("no such signature");
        DOMValidateContext context = new DOMValidateContext(KeySelector.singletonKeySelector(key), element);
        if (Boolean.parseBoolean(text(f[3]))) {
            context.setProperty("org.jcp.xml.dsig.secureValidation", Boolean.FALSE);
        }
        declareIds(d, context);
        XMLSignature s = XMLSignatureFactory.getInstance("DOM").unmarshalXMLSignature(context);
        boolean valid = s.validate(context);
        boolean value = s.getSignatureValue().validate(context);
        List<byte[]> out = new ArrayList<>(Arrays.asList(
            bytes("ok"), bytes(String.valueOf(valid)), bytes(String.valueOf(value))));
        for (Object o : s.getSignedInfo().getReferences()) {
            Reference r = (Reference) o;
            out.add(bytes(r.getURI() == null ? "" : r.getURI()));
            out.add(bytes(String.valueOf(r.validate(context))));
        }
        return out;
    }

    static List<byte[]> sign(byte[][] f) throws Exception {
        Document d = parse(f[0]);
        X509Certificate cert = f[2].length == 0 ? null : certificate(f[2]);
        Element parent = (Element) d.getElementsByTagNameNS(
            f[3].length == 0 ? null : text(f[3]), text(f[4])).item(0);
        if (parent == null) throw new IllegalArgumentException("no such parent");
        List<String> prefixes = words(f[7]);
        boolean enveloped = Boolean.parseBoolean(text(f[8]));
        ExcC14NParameterSpec spec = prefixes.isEmpty() ? null : new ExcC14NParameterSpec(prefixes);

        XMLSignatureFactory factory = XMLSignatureFactory.getInstance("DOM");
        List<Reference> references = new ArrayList<>();
        for (String id : words(f[6])) {
            List<Transform> transforms = new ArrayList<>();
            if (enveloped) {
                transforms.add(factory.newTransform(Transform.ENVELOPED, (TransformParameterSpec) null));
            }
            transforms.add(factory.newTransform(CanonicalizationMethod.EXCLUSIVE, spec));
            references.add(factory.newReference("#" + id,
                factory.newDigestMethod(DigestMethod.SHA256, null), transforms, null, null));
        }
        PrivateKey key;
        String method = RSA_SHA256;
        try {
            key = KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(f[1]));
        } catch (java.security.spec.InvalidKeySpecException e) {
            key = KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(f[1]));
            method = ECDSA_SHA256;
        }
        SignedInfo info = factory.newSignedInfo(
            factory.newCanonicalizationMethod(CanonicalizationMethod.EXCLUSIVE, (C14NMethodParameterSpec) spec),
            factory.newSignatureMethod(method, null), references);
        DOMSignContext context = new DOMSignContext(key, parent);
        context.setDefaultNamespacePrefix("ds");
        declareIds(d, context);
        factory.newXMLSignature(info, keyInfo(factory, d, f[5], cert)).sign(context);
        return Arrays.asList(bytes("ok"), serialise(d));
    }

    static KeyInfo keyInfo(XMLSignatureFactory factory, Document d, byte[] xml, X509Certificate cert)
            throws Exception {
        KeyInfoFactory keys = factory.getKeyInfoFactory();
        if (xml.length > 0) {
            Node n = d.importNode(parse(xml).getDocumentElement(), true);
            return keys.newKeyInfo(Collections.singletonList(new DOMStructure(n)));
        }
        if (cert == null) return null;
        return keys.newKeyInfo(Collections.singletonList(
            keys.newX509Data(Collections.singletonList(cert))));
    }

    static byte[] serialise(Document d) throws Exception {
        Transformer t = TransformerFactory.newInstance().newTransformer();
        t.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, "yes");
        t.setOutputProperty(OutputKeys.ENCODING, "UTF-8");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        t.transform(new DOMSource(d), new StreamResult(out));
        return out.toByteArray();
    }
}
