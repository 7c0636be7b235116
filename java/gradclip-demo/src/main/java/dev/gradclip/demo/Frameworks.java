// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import org.jspecify.annotations.Nullable;

/**
 * Finds a {@link Framework}: on the class path, or built by an example, whose jar names the jars of the framework. Each
 * has a class loader of its own, for they ask for different versions of the same libraries.
 */
public final class Frameworks {
    /** The property that names the folder of the source tree's examples; the launcher sets it. */
    static final String EXAMPLES = "gradclip.examples";

    private static final List<String> NAMES = List.of("torch", "djl", "dl4j");

    private Frameworks() {}

    /** Returns the names of all frameworks that a demo can be built for. */
    public static List<String> names() {
        return NAMES;
    }

    /**
     * Loads one of {@link #names}.
     *
     * @throws IOException if it is not built, or does not fit this command; with the command that builds it
     */
    public static Framework load(String name) throws IOException {
        try {
            for (Framework framework : ServiceLoader.load(Framework.class, loader(name))) {
                if (framework.name().equals(name)) return framework;
            }
        } catch (ServiceConfigurationError | LinkageError e) {
            throw new IOException(name + " as it is built does not fit this command (" + e + "); " + build(name), e);
        }
        if (System.getProperty(EXAMPLES) == null) {
            throw new IOException(
                    "the demo for " + name + " is not on the class path, and is looked for elsewhere only by"
                            + " gradclip's source tree: there, ./gradclip demo --framework " + name + " finds it");
        }
        throw new IOException("the demo for " + name + " is not built; " + build(name));
    }

    private static ClassLoader loader(String name) throws IOException {
        ClassLoader own = Frameworks.class.getClassLoader();
        Path jar = jar(name);
        if (jar == null || !Files.isRegularFile(jar)) return own;
        return new URLClassLoader(name, new URL[] {jar.toUri().toURL()}, own);
    }

    /**
     * Returns an example's jar in the folder that the launcher names, never in the current one, which may be anybody's.
     */
    private static @Nullable Path jar(String name) {
        String examples = System.getProperty(EXAMPLES);
        String example = example(name);
        return examples == null ? null : Path.of(examples, example, "target", example + ".jar");
    }

    private static String example(String name) {
        return name.equals("torch") ? "train" : name;
    }

    private static String build(String name) {
        return "in gradclip's source tree, mvn -q -Pframeworks package -DskipTests -pl java/examples/" + example(name)
                + " -am builds it (hundreds of megabytes of jars the first time)";
    }
}
