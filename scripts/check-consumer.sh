#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A user's project, with nothing of this tree on its path, compiles and clips with what stage-release.sh made:
#   scripts/check-consumer.sh FOLDER     FOLDER: the staged repository
# On the class path with the version from gradclip-bom, then as a module that requires dev.gradclip; each without and
# with the CUDA library's jars, where they were staged. Each adapter is resolved, too.
# Maven's own repository is left as it is: a temporary one is filled from it, and from Maven Central where it lacks
# something.
set -eu

fail() {
  echo "check-consumer: $1" >&2
  exit 1
}

[ $# -eq 1 ] && [ -d "$1/dev/gradclip/gradclip" ] ||
  fail "usage: check-consumer.sh FOLDER, made by scripts/stage-release.sh"
staged=$(CDPATH="" cd -- "$1" && pwd)
version=$(basename "$(find "$staged/dev/gradclip/gradclip" -mindepth 1 -maxdepth 1 -type d)")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/project/src/main/java/consumer"
cd "$scratch/project"

cat > "$scratch/settings.xml" << END
<settings>
  <profiles>
    <profile>
      <id>staged</id>
      <repositories>
        <repository><id>staged</id><url>file:$staged</url></repository>
        <repository><id>cache</id><url>file:$HOME/.m2/repository</url></repository>
      </repositories>
      <pluginRepositories>
        <pluginRepository><id>cache</id><url>file:$HOME/.m2/repository</url></pluginRepository>
      </pluginRepositories>
    </profile>
  </profiles>
  <activeProfiles><activeProfile>staged</activeProfile></activeProfiles>
</settings>
END
write_pom() { # how the version is given, the dependencies
  cat > pom.xml << END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>consumer</groupId>
  <artifactId>consumer</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  $1
  <dependencies>
    $2
  </dependencies>
  <build>
    <plugins>
      <!-- Maven 3.8's own is of 2013 and knows no release. -->
      <plugin><artifactId>maven-compiler-plugin</artifactId><version>3.14.1</version></plugin>
    </plugins>
  </build>
</project>
END
}
cat > src/main/java/consumer/Main.java << END
package consumer;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.Gradients;

public class Main {
    public static void main(String[] args) {
        float[] gradient = {3, 4};
        ClipResult result = Gradients.clipByGlobalNorm(1.0, gradient);
        System.out.println(result.globalNorm() + " " + Math.round(gradient[0] * 100)
                + " " + Math.round(gradient[1] * 100)
                + " native " + Backend.NATIVE.isAvailable()
                + " cuda " + !Backend.CUDA.reason().matches(".*(no CUDA library|not be loaded|other sources).*")
                + " module " + Main.class.getModule().getName());
    }
}
END
maven() {
  mvn -B -ntp -q -Dstyle.color=never -s "$scratch/settings.xml" -Dmaven.repo.local="$scratch/repository" \
    "$@" > "$scratch/log" 2>&1 ||
    fail "$(cat "$scratch/log")"
}
expect() { # what is said, the command
  expected=$1
  shift
  found=$("$@" 2>&1) || fail "$* failed: $found"
  [ "$found" = "$expected" ] || fail "expected '$expected', found '$found'"
  echo "check-consumer: $found"
}
jar=$scratch/repository/dev/gradclip/gradclip/$version/gradclip-$version.jar
# JDK 24 and later warn about native access unless it is granted.
grant=
if "${JAVA_HOME:+$JAVA_HOME/bin/}java" --version | grep -q -E '^[a-z]+ (2[2-9]|[3-9][0-9])'; then grant=yes; fi

bom="<dependencyManagement><dependencies><dependency><groupId>dev.gradclip</groupId>
    <artifactId>gradclip-bom</artifactId><version>$version</version><type>pom</type><scope>import</scope></dependency>
    </dependencies></dependencyManagement>"
run_java() { # options
  "${JAVA_HOME:+$JAVA_HOME/bin/}java" "$@"
}
cuda_jars=$(cd "$staged/dev/gradclip/gradclip/$version" && ls | sed -n 's/.*-\(cuda[0-9]*\)\.jar$/\1/p')
write_pom "$bom" "<dependency><groupId>dev.gradclip</groupId><artifactId>gradclip</artifactId></dependency>
  $(for cuda in $cuda_jars; do echo "<dependency><groupId>dev.gradclip</groupId><artifactId>gradclip</artifactId>
    <classifier>$cuda</classifier></dependency>"; done)"
maven compile
for cuda in "" $cuda_jars; do
  expect "5.0 60 80 native true cuda $([ -n "$cuda" ] && echo true || echo false) module null" run_java \
    ${grant:+--enable-native-access=ALL-UNNAMED} -cp "target/classes:$jar${cuda:+:${jar%.jar}-$cuda.jar}" consumer.Main
done

write_pom "" "<dependency><groupId>dev.gradclip</groupId><artifactId>gradclip</artifactId>
  <version>$version</version></dependency>"
echo 'module consumer { requires dev.gradclip; }' > src/main/java/module-info.java
rm -rf target
maven compile
grant=${grant:+--enable-native-access=dev.gradclip}
expect "5.0 60 80 native true cuda false module consumer" run_java $grant -p "target/classes:$jar" \
  -m consumer/consumer.Main
for cuda in $cuda_jars; do
  # As Maven and IDEs do with what no module requires; and as a module.
  cuda_jar=${jar%.jar}-$cuda.jar
  expect "5.0 60 80 native true cuda true module consumer" run_java $grant -p "target/classes:$jar" -cp "$cuda_jar" \
    -m consumer/consumer.Main
  expect "5.0 60 80 native true cuda true module consumer" run_java $grant -p "target/classes:$jar:$cuda_jar" \
    --add-modules "dev.gradclip.$cuda" -m consumer/consumer.Main
done

# Without the module: the frameworks are the user's to add, so that each adapter comes with gradclip alone, or with
# JCuda.
rm -rf src/main/java/module-info.java target
adapters=
for adapter in $(ls "$staged/dev/gradclip"); do
  case $adapter in
    gradclip | gradclip-bom) ;;
    *) adapters="$adapters<dependency><groupId>dev.gradclip</groupId><artifactId>$adapter</artifactId></dependency>" ;;
  esac
done
write_pom "$bom" "$adapters"
maven compile
echo "check-consumer: passed"
