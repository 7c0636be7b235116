// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.cli;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import dev.gradclip.cli.shell.Subcommand;
import dev.gradclip.demo.Demo;
import dev.gradclip.measure.Shape;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Checks the packages of the command: each uses only those below it, and no command another. */
class ArchitectureTest {
    private static final String CLI = "dev.gradclip.cli.";

    /** The packages of the command that each of them may use; {@code rules} is a command and the table of all rules. */
    private static final Map<String, Set<String>> LAYERS = Map.ofEntries(
            Map.entry("shell", Set.of()),
            Map.entry("safetensors", Set.of("shell")),
            Map.entry("rules", Set.of("safetensors", "shell")),
            Map.entry("clip", Set.of("rules", "safetensors", "shell")),
            Map.entry("inspect", Set.of("safetensors", "shell")),
            Map.entry("parity", Set.of("rules", "shell")),
            Map.entry("bench", Set.of("shell")),
            Map.entry("demo", Set.of("shell")),
            Map.entry("info", Set.of("shell")),
            Map.entry("report", Set.of("shell")),
            Map.entry("watch", Set.of("shell")));

    private static final JavaClasses MAIN = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.gradclip.cli", "dev.gradclip.demo", "dev.gradclip.measure");

    private static ArchRule knowsOnly(String name, Set<String> allowed) {
        String[] others = Stream.concat(
                        Stream.of("dev.gradclip.cli"),
                        LAYERS.keySet().stream()
                                .filter(other -> !other.equals(name) && !allowed.contains(other))
                                .map(other -> CLI + other))
                .toArray(String[]::new);
        return noClasses().that().resideInAPackage(CLI + name).should().dependOnClassesThat(resideInAnyPackage(others));
    }

    @Test
    void packagesKnowOnlyThoseBelow() {
        LAYERS.forEach((name, allowed) -> knowsOnly(name, allowed).check(MAIN));
    }

    @Test
    void everyPackageHasItsLayer() {
        Set<String> found = MAIN.stream()
                .map(JavaClass::getPackageName)
                .filter(name -> name.startsWith(CLI))
                .map(name -> name.substring(CLI.length()))
                .collect(Collectors.toCollection(TreeSet::new));
        assertEquals(new TreeSet<>(LAYERS.keySet()), found);
    }

    @Test
    void noCycleAmongPackages() {
        slices().matching("dev.gradclip.cli.(*)").should().beFreeOfCycles().check(MAIN);
    }

    /** Only the root of the command makes subcommands, so what clip and parity use of rules is its table alone. */
    @Test
    void noCommandKnowsAnother() {
        List<JavaClass> commands = MAIN.stream()
                .filter(type -> type.isAssignableTo(Subcommand.class) && !type.isEquivalentTo(Subcommand.class))
                .toList();
        assertEquals(9, commands.size(), commands::toString);
        for (JavaClass command : commands) {
            Set<String> users = command.getDirectDependenciesToSelf().stream()
                    .map(use -> use.getOriginClass().getName())
                    .filter(name -> !name.startsWith(command.getName()))
                    .collect(Collectors.toCollection(TreeSet::new));
            assertEquals(Set.of(Main.class.getName()), users, command.getName());
        }
    }

    @Test
    void measureAndDemoDoNotKnowTheCommand() {
        for (Class<?> one : List.of(Demo.class, Shape.class)) assertTrue(MAIN.contain(one), one.getName());
        noClasses()
                .that()
                .resideInAnyPackage("dev.gradclip.demo..", "dev.gradclip.measure..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("dev.gradclip.cli..")
                .check(MAIN);
    }

    /** A check that can't fail is none: a use that is not allowed must be found. */
    @Test
    void aForbiddenUseIsFound() {
        assertTrue(
                knowsOnly("clip", Set.of("safetensors", "shell")).evaluate(MAIN).hasViolation());
    }
}
