// SPDX-License-Identifier: Apache-2.0
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.Attributes;
import java.util.jar.Manifest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.SAXException;

/**
 * Checks a folder that scripts/stage-release.sh made, without a network, by the rules of Maven Central: what a POM must
 * say, sources and Javadoc, checksums, signatures, no snapshots, no repositories. Beyond those rules each jar holds
 * LICENSE and NOTICE and has an SBOM, the library's jar holds the native libraries for x86-64 and aarch64 and the
 * classes for Java 21, the jars cuda12 and cuda13 hold the CUDA library, and gradclip-bom lists what is there.
 *
 * <pre>java scripts/CheckRelease.java [--signed] [--without-cuda] [--without-java-21] FOLDER</pre>
 *
 * <p>{@code --signed} refuses what is not signed, which is otherwise only said; that a signature is there is checked,
 * not what it says. Each fault is a line; the exit code is 1 where there is one, 2 where the arguments are wrong.
 */
final class CheckRelease {
    private static final String NATIVE = "dev/gradclip/internal/native/";
    private static final String CPU_LIBRARY = "libgradclip.so";
    private static final String CUDA_LIBRARY = "libgradclip_cuda.so";
    /** The platforms, and what their libraries' ELF header says of the machine. */
    private static final Map<String, Integer> MACHINES = Map.of("linux-x86_64", 62, "linux-aarch64", 183);

    private static final String JAVA_21 = "META-INF/versions/21/dev/gradclip/internal/cpu/Float16Arrays.class";

    private final Path root;
    private final boolean signed;
    private final boolean cuda;
    private final boolean java21;
    private final List<String> faults = new ArrayList<>();
    private final Map<String, Element> poms = new TreeMap<>();
    private final TreeSet<String> builds = new TreeSet<>();
    private int files;
    private int unsigned;

    private CheckRelease(Path root, boolean signed, boolean cuda, boolean java21) {
        this.root = root;
        this.signed = signed;
        this.cuda = cuda;
        this.java21 = java21;
    }

    public static void main(String[] args) throws Exception {
        List<String> rest = new ArrayList<>(List.of(args));
        boolean signed = rest.remove("--signed");
        boolean cuda = !rest.remove("--without-cuda");
        boolean java21 = !rest.remove("--without-java-21");
        if (rest.size() != 1 || !Files.isDirectory(Path.of(rest.get(0)))) {
            System.err.println("usage: java CheckRelease.java [--signed] [--without-cuda] [--without-java-21] FOLDER, "
                    + "a folder that is there");
            System.exit(2);
        }
        System.exit(new CheckRelease(Path.of(rest.get(0)), signed, cuda, java21).run());
    }

    private int run() throws Exception {
        try (Stream<Path> all = Files.walk(root)) {
            for (Path file : all.filter(Files::isRegularFile).sorted().toList()) {
                if (isAbout(file, ".md5", ".sha1", ".asc")) aboutAnother(file);
                else checksums(file);
                if (file.toString().endsWith(".pom")) artifact(file);
            }
        }
        if (poms.isEmpty()) faults.add(root + ": holds no POM; name the folder that stage-release.sh made");
        else together();
        faults.forEach(fault -> System.out.println("check-release: " + fault));
        if (unsigned > 0 && !signed) {
            System.out.println("check-release: " + unsigned + " files are not signed, which Maven Central asks for; "
                    + "stage them with -Psign");
        }
        System.out.println(
                "check-release: " + poms.size() + " artifacts, " + files + " files, " + faults.size() + " faults");
        return faults.isEmpty() ? 0 : 1;
    }

    private void fault(Path file, String what) {
        faults.add(root.relativize(file) + ": " + what);
    }

    private static boolean isAbout(Path file, String... ends) {
        return Stream.of(ends).anyMatch(file.toString()::endsWith)
                || file.toString().matches(".*\\.asc\\.(md5|sha1)");
    }

    /** A checksum or signature without the file that it is about. */
    private void aboutAnother(Path file) {
        String name = file.toString();
        Path other = Path.of(name.substring(0, name.lastIndexOf('.')));
        if (!Files.exists(other)) fault(file, "is about " + other.getFileName() + ", which is not there; stage anew");
    }

    private void checksums(Path file) throws Exception {
        files++;
        byte[] bytes = Files.readAllBytes(file);
        for (Map.Entry<String, String> kind :
                Map.of("MD5", ".md5", "SHA-1", ".sha1").entrySet()) {
            Path sum = Path.of(file + kind.getValue());
            if (!Files.exists(sum)) {
                fault(file, "has no " + kind.getValue() + "; stage anew");
                continue;
            }
            String is = HexFormat.of()
                    .formatHex(MessageDigest.getInstance(kind.getKey()).digest(bytes));
            String said = Files.readString(sum).strip();
            if (!said.equals(is))
                fault(file, "has " + kind.getKey() + " " + is + ", but " + sum.getFileName() + " says " + said);
        }
        if (Files.exists(Path.of(file + ".asc"))) return;
        unsigned++;
        if (signed) fault(file, "is not signed; stage with -Psign");
    }

    private void artifact(Path pom) throws Exception {
        Element project;
        try (InputStream in = Files.newInputStream(pom)) {
            project = DocumentBuilderFactory.newInstance()
                    .newDocumentBuilder()
                    .parse(in)
                    .getDocumentElement();
        } catch (SAXException e) {
            fault(pom, "is no XML: " + e.getMessage());
            return;
        }
        Path folder = pom.getParent();
        String artifact = text(project, "artifactId");
        String version = text(project, "version");
        poms.put(artifact, project);
        String place = text(project, "groupId").replace('.', '/') + "/" + artifact + "/" + version;
        String base = artifact + "-" + version;
        if (!root.relativize(folder).toString().equals(place)
                || !pom.getFileName().toString().equals(base + ".pom")) {
            fault(pom, "does not lie where its coordinates say: " + place + "/" + base + ".pom");
        }
        metadata(pom, project);
        TreeSet<String> expected = new TreeSet<>(List.of(base + ".pom"));
        if (!text(project, "packaging").equals("pom")) {
            List<String> ends = new ArrayList<>(List.of(".jar", "-sources.jar", "-javadoc.jar", "-cyclonedx.json"));
            if (artifact.equals("gradclip") && cuda) ends.addAll(List.of("-cuda12.jar", "-cuda13.jar"));
            for (String end : ends) {
                expected.add(base + end);
                Path file = folder.resolve(base + end);
                if (!Files.exists(file)) fault(file, missing(end));
                else if (end.endsWith(".jar")) jar(file, artifact, version, end);
            }
        }
        try (Stream<Path> all = Files.list(folder)) {
            for (Path file :
                    all.filter(f -> !isAbout(f, ".md5", ".sha1", ".asc")).toList()) {
                if (!expected.contains(file.getFileName().toString()))
                    fault(file, "does not belong in a release; remove it");
            }
        }
    }

    private static String missing(String end) {
        return switch (end) {
            case "-cuda12.jar" -> "is missing; stage with GRADCLIP_NVCC12, which names nvcc of CUDA 12";
            case "-cuda13.jar" -> "is missing; stage where nvcc of CUDA 13 is found, or named by NVCC";
            default -> "is missing; stage with profile release";
        };
    }

    private void metadata(Path pom, Element project) {
        Map<String, String> needed = new LinkedHashMap<>();
        for (String path : List.of(
                "modelVersion",
                "groupId",
                "artifactId",
                "version",
                "name",
                "description",
                "url",
                "licenses/license/name",
                "licenses/license/url",
                "developers/developer/name",
                "scm/connection",
                "scm/developerConnection",
                "scm/url")) {
            needed.put(path, text(project, path.split("/")));
        }
        needed.forEach((path, value) -> {
            if (value.isEmpty()) fault(pom, "has no " + path + "; add it to the project's POM");
            if (value.contains("${"))
                fault(pom, path + " is " + value + ", which nobody fills in; stage with profile release");
        });
        for (String path : List.of("url", "scm/url")) {
            String url = needed.get(path);
            if (!url.isEmpty() && (!url.startsWith("https://") || url.contains("project-home-is-not-set"))) {
                fault(pom, path + " is " + url + "; give the project's home by -Dproject.home=https://…");
            }
        }
        if (needed.get("version").endsWith("-SNAPSHOT"))
            fault(pom, "its version is a snapshot; stage with a release's version");
        for (String name :
                List.of("parent", "repositories", "pluginRepositories", "distributionManagement", "profiles")) {
            if (child(project, name) != null)
                fault(pom, "has " + name + "; stage with profile release, whose POMs have none");
        }
        for (Element dependency : dependencies(project)) {
            String name = text(dependency, "groupId") + ":" + text(dependency, "artifactId");
            String version = text(dependency, "version");
            if (version.endsWith("-SNAPSHOT"))
                fault(pom, "depends on the snapshot " + name + ":" + version + "; use a release");
            if (version.isEmpty()) fault(pom, "depends on " + name + " without a version; stage with profile release");
            if (text(dependency, "scope").equals("system"))
                fault(pom, "depends on " + name + " by a path; use a repository");
        }
    }

    private void jar(Path file, String artifact, String version, String end) throws IOException {
        try (ZipFile jar = new ZipFile(file.toFile())) {
            for (String name : List.of("META-INF/LICENSE", "META-INF/NOTICE")) {
                if (!end.equals("-javadoc.jar") && jar.getEntry(name) == null) fault(file, "holds no " + name);
            }
            String content = switch (end) {
                case "-sources.jar" -> ".java";
                case "-javadoc.jar" -> "index.html";
                case "-cuda12.jar", "-cuda13.jar" -> CUDA_LIBRARY;
                default -> ".class";
            };
            if (jar.stream().noneMatch(entry -> entry.getName().endsWith(content))) fault(file, "holds no " + content);
            if (artifact.equals("gradclip")) {
                natives(file, jar, version, end);
                if (java21 && end.equals(".jar")) java21(file, jar);
            }
        } catch (ZipException e) {
            fault(file, "is no jar: " + e.getMessage());
        }
    }

    private void natives(Path file, ZipFile jar, String version, String end) throws IOException {
        if (end.contains("cuda")) library(file, jar, version, "linux-x86_64", CUDA_LIBRARY);
        if (!end.equals(".jar")) return;
        for (String platform : MACHINES.keySet()) {
            library(file, jar, version, platform, CPU_LIBRARY);
            String name = NATIVE + platform + "/gradclip.build-id";
            byte[] said = read(jar, name);
            String id = said == null ? "nothing" : new String(said, StandardCharsets.UTF_8).strip();
            if (!id.startsWith(version + "+"))
                fault(file, "its native libraries are those of " + id + ", says " + name + "; build anew");
            builds.add(id);
            if (jar.getEntry(NATIVE + platform + "/" + CUDA_LIBRARY) != null)
                fault(file, "holds the CUDA library, which has jars of its own; stage with profile release");
        }
    }

    private void library(Path file, ZipFile jar, String version, String platform, String library) throws IOException {
        String name = NATIVE + platform + "/" + library;
        byte[] bytes = read(jar, name);
        if (bytes == null) {
            fault(file, "holds no " + name + "; build where the tools for it are: CONTRIBUTING.md, How to release");
            return;
        }
        if (bytes.length < 20 || (bytes[18] & 0xff) != MACHINES.getOrDefault(platform, -1))
            fault(file, name + " is no library for that machine; build anew");
        // Each library refuses the classes of another build.
        Matcher id = Pattern.compile(Pattern.quote(version + "+") + "[0-9a-zA-Z]+")
                .matcher(new String(bytes, StandardCharsets.ISO_8859_1));
        builds.add(id.find() ? id.group() : "none in " + name);
    }

    private static byte[] read(ZipFile jar, String name) throws IOException {
        ZipEntry entry = jar.getEntry(name);
        if (entry == null) return null;
        try (InputStream in = jar.getInputStream(entry)) {
            return in.readAllBytes();
        }
    }

    /** A JVM looks at the classes for newer versions of Java only where the manifest says so. */
    private void java21(Path file, ZipFile jar) throws IOException {
        ZipEntry manifest = jar.getEntry("META-INF/MANIFEST.MF");
        boolean said = false;
        if (manifest != null) {
            try (InputStream in = jar.getInputStream(manifest)) {
                said = "true".equals(new Manifest(in).getMainAttributes().getValue(Attributes.Name.MULTI_RELEASE));
            }
        }
        if (!said || jar.getEntry(JAVA_21) == null) {
            fault(file, "holds no " + JAVA_21 + ", or no Multi-Release in its manifest; stage with JDK 21 or newer");
        }
    }

    /** The bill of materials lists what is there; what is there depends on what is there, in one version. */
    private void together() {
        TreeSet<String> there = new TreeSet<>(poms.keySet());
        if (!there.remove("gradclip-bom")) {
            faults.add(root + ": holds no gradclip-bom");
            return;
        }
        TreeSet<String> listed = new TreeSet<>();
        for (Element dependency : dependencies(poms.get("gradclip-bom"))) listed.add(text(dependency, "artifactId"));
        if (!listed.equals(there))
            faults.add("gradclip-bom lists " + listed + ", but there are " + there + "; mend the list");
        TreeSet<String> versions = new TreeSet<>();
        poms.forEach((artifact, project) -> {
            versions.add(text(project, "version"));
            for (Element dependency : dependencies(project)) {
                String other = text(dependency, "artifactId");
                if (text(dependency, "groupId").equals("dev.gradclip") && !poms.containsKey(other)) {
                    faults.add(artifact + " depends on " + other + ", which is not there; publish it too");
                }
            }
        });
        if (builds.size() > 1)
            faults.add("the native libraries are of several builds: " + builds + "; build all of them anew");
        if (versions.size() > 1) faults.add("there are several versions: " + versions + "; stage anew");
    }

    private static List<Element> dependencies(Element project) {
        List<Element> found = new ArrayList<>();
        Element managed = child(project, "dependencyManagement");
        for (Element parent : managed == null ? List.of(project) : List.of(project, managed)) {
            Element list = child(parent, "dependencies");
            if (list != null) found.addAll(children(list));
        }
        return found;
    }

    private static String text(Element element, String... path) {
        Element at = element;
        for (String name : path) if (at != null) at = child(at, name);
        return at == null ? "" : at.getTextContent().strip();
    }

    private static Element child(Element parent, String name) {
        return children(parent).stream()
                .filter(e -> e.getTagName().equals(name))
                .findFirst()
                .orElse(null);
    }

    private static List<Element> children(Element parent) {
        List<Element> found = new ArrayList<>();
        for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
            if (node instanceof Element element) found.add(element);
        }
        return found;
    }
}
