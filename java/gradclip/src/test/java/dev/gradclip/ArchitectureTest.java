// SPDX-License-Identifier: Apache-2.0
package dev.gradclip;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Checks the layers that docs/architecture.md draws: each package uses only the layers below it. */
class ArchitectureTest {
    private static final String INTERNAL = "dev.gradclip.internal.";

    /** The packages that each internal package may use; a package is below those that use it. */
    private static final Map<String, Set<String>> LAYERS = Map.ofEntries(
            Map.entry("jni", Set.of()),
            Map.entry("resource", Set.of()),
            Map.entry("reduce", Set.of()),
            Map.entry("rule", Set.of("reduce")),
            Map.entry("update", Set.of()),
            Map.entry("memory", Set.of("jni", "resource")),
            Map.entry("threads", Set.of("jni")),
            Map.entry("cpu", Set.of("jni", "memory", "reduce", "threads", "update")),
            Map.entry("cuda", Set.of("jni", "memory", "reduce", "resource", "rule", "update")),
            Map.entry("binding", Set.of("cpu", "cuda", "jni", "memory", "reduce")),
            Map.entry("stream", Set.of("cpu", "cuda", "jni", "memory", "reduce", "rule")),
            Map.entry("ranks", Set.of("reduce", "rule")),
            Map.entry("clip", Set.of("binding", "cpu", "cuda", "memory", "ranks", "reduce", "rule", "update")));

    /** The API types that internal packages may use: values, exceptions and the listener, none of which uses them. */
    private static final Set<Class<?>> VALUES = Set.of(
            ClipRule.class,
            NormRule.class,
            History.class,
            ValueRule.class,
            GroupRule.class,
            NormType.class,
            Scope.class,
            Update.class,
            SgdUpdate.class,
            AdamUpdate.class,
            Convention.class,
            NonFinitePolicy.class,
            DType.class,
            DeviceNorm.class,
            ClipEvent.class,
            ClipListener.class,
            NonFiniteGradientException.class,
            RankMismatchException.class,
            CudaException.class,
            CudaFatalException.class);

    private static final JavaClasses MAIN = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.gradclip");

    private static DescribedPredicate<JavaClass> in(Set<String> packages) {
        return DescribedPredicate.describe(
                "in " + packages,
                c -> c.getPackageName().startsWith("dev.gradclip")
                        && packages.contains(c.getPackageName().substring("dev.gradclip".length())));
    }

    private static boolean isValue(JavaClass c) {
        String name = c.getBaseComponentType().getName();
        return VALUES.stream()
                .anyMatch(value -> name.equals(value.getName()) || name.startsWith(value.getName() + "$"));
    }

    @Test
    void packagesKnowOnlyThoseBelow() {
        for (Map.Entry<String, Set<String>> layer : LAYERS.entrySet()) {
            Set<String> others = new TreeSet<>(LAYERS.keySet());
            others.removeAll(layer.getValue());
            others.remove(layer.getKey());
            Set<String> forbidden =
                    others.stream().map(name -> ".internal." + name).collect(Collectors.toCollection(TreeSet::new));
            forbidden.add(".adapter");
            noClasses()
                    .that()
                    .resideInAPackage(INTERNAL + layer.getKey())
                    .should()
                    .dependOnClassesThat(in(forbidden))
                    .check(MAIN);
        }
    }

    @Test
    void everyPackageHasItsLayer() {
        Set<String> found = MAIN.stream()
                .map(JavaClass::getPackageName)
                .filter(name -> name.startsWith(INTERNAL))
                .map(name -> name.substring(INTERNAL.length()))
                .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(new TreeSet<>(LAYERS.keySet()), found);
    }

    @Test
    void noCycleAmongPackages() {
        slices().matching("dev.gradclip.internal.(*)..")
                .should()
                .beFreeOfCycles()
                .check(MAIN);
    }

    @Test
    void theInsideKnowsOnlyValuesOfTheApi() {
        DescribedPredicate<JavaClass> door = DescribedPredicate.describe(
                "of the API beside its values", c -> c.getPackageName().equals("dev.gradclip") && !isValue(c));
        noClasses()
                .that()
                .resideInAPackage(INTERNAL + "*")
                .should()
                .dependOnClassesThat(door)
                .check(MAIN);
    }

    @Test
    void valuesKnowOnlyValues() {
        DescribedPredicate<JavaClass> value = DescribedPredicate.describe("a value", ArchitectureTest::isValue);
        DescribedPredicate<JavaClass> other = DescribedPredicate.describe(
                "another class of the library", c -> c.getName().startsWith("dev.gradclip") && !isValue(c));
        noClasses().that(value).should().dependOnClassesThat(other).check(MAIN);
    }

    @Test
    void nobodyKnowsTheParts() {
        classes()
                .that()
                .resideInAPackage("dev.gradclip.adapter")
                .should()
                .onlyHaveDependentClassesThat()
                .resideInAPackage("dev.gradclip.adapter")
                .check(MAIN);
        noClasses()
                .that()
                .resideInAPackage("dev.gradclip.adapter")
                .should()
                .dependOnClassesThat()
                .resideInAPackage(INTERNAL + "*")
                .check(MAIN);
    }

    /** A check that can't fail is none: a layer that is missing must be found. */
    @Test
    void aForbiddenImportIsFound() {
        List<String> found = new ArrayList<>();
        noClasses()
                .that()
                .resideInAPackage(INTERNAL + "clip")
                .should()
                .dependOnClassesThat(in(Set.of(".internal.rule")))
                .evaluate(MAIN)
                .getFailureReport()
                .getDetails()
                .forEach(found::add);
        assertEquals(false, found.isEmpty());
    }
}
