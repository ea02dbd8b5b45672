import { describe, expect, it } from 'vitest';
import { readDockerfile } from './instructions.ts';

const read = (...lines: string[]) => readDockerfile(['FROM a:1', ...lines, ''].join('\n'))?.slice(1);
const namesOf = (...lines: string[]) => read(...lines)?.map(({ name }) => name);

describe('a here-document', () => {
  it.each([
    ['RUN cat <<EOF', 'EOF'],
    ['RUN <<EOF cat >/x', 'EOF'],
    ['RUN cat << EOF', 'EOF'],
    ['RUN cat 3<<EOF', 'EOF'],
    [`RUN cat <<'E F'`, 'E F'],
    ['RUN cat <<"EOF"', 'EOF'],
    ['RUN cat <<-EOF', '\t\tEOF'],
    ['RUN cat <<$EOF', '$EOF'],
    ['RUN echo "it\'s \\"one\\"" <<EOF', 'EOF'],
    ['RUN --mount=type=cache,target=/c <<EOF', 'EOF'],
    ['COPY --chmod=644 <<EOF /x', 'EOF'],
    ['ONBUILD RUN <<EOF', 'EOF'],
  ])('of %j ends at %j', (line, end) => {
    const found = read(line, 'USER root', ` ${end}`, end, 'USER app');
    expect(found).toMatchObject([{ documents: `USER root\n ${end}\n` }, { name: 'USER', argument: 'app' }]);
    expect(found?.[0]?.unended).toBeUndefined();
  });

  it.each([
    'RUN read v <<<word',
    'RUN read v <<<"text"',
    'RUN read v <<< word',
    'RUN bash -c "cat <<EOF > /x"',
    `RUN echo '<<EOF'`,
    'RUN ["bash", "-c", "cat <<EOF"]',
    'RUN cat<<EOF',
    'RUN echo \\<<EOF',
    'RUN echo $((1<<SHIFT))',
    `RUN echo it's <<EOF`,
    'RUN cat <<""',
    'CMD cat <<EOF',
  ])('is none in %s', (line) => {
    expect(namesOf(line, 'USER root')).toEqual([line.split(' ')[0], 'USER']);
  });

  it('may follow another one', () => {
    expect(read('COPY <<a <<-b /x/', 'one', 'a', '\ttwo', '\tb', 'USER app')).toMatchObject([
      { documents: 'one\n\ttwo\n' },
      { name: 'USER' },
    ]);
  });

  it('without an end says which end', () => {
    expect(read('RUN cat <<EOF', 'text', ' EOF', 'USER app')).toMatchObject([
      { name: 'RUN', unended: 'EOF' },
    ]);
  });
});

describe('an instruction', () => {
  it('goes on over empty lines and comments', () => {
    expect(read('COPY \\', '', '  # of the tools', '  --from=tools:1 / / ', 'USER app')).toMatchObject([
      { name: 'COPY', argument: expect.stringContaining('--from=tools:1'), line: 2 },
      { name: 'USER', line: 6 },
    ]);
  });

  it('does not go on after an escape that is escaped', () => {
    expect(namesOf('RUN echo c:\\\\', 'USER app')).toEqual(['RUN', 'USER']);
  });
});
