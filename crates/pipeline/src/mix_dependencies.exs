defmodule Mix.Tasks.Mixpack.Dependencies do
  @moduledoc false
  use Mix.Task

  # `mix compile` may do something else if the project replaces one of these.
  @tasks ~w(compile compile.all deps.compile deps.loadpaths deps.precompile loadpaths will_recompile)a

  # Writes all dependencies to `path` in the order in which mix compiles them, or the reason why only mix itself may
  # compile them. Writes nothing if a dependency is broken: mix explains it. For the shared store, also writes the
  # config to `config`, and which of `variables` each value contains.
  @impl true
  def run([path]), do: write(path)

  def run([path, config | variables]) do
    # After `write`, which loads each dependency's mix.exs: those may change the config.
    write(path)
    Mix.Tasks.Mixpack.Reads.write_config(config, variables)
  end

  defp write(path) do
    shell = Mix.shell()
    Mix.shell(Mix.Shell.Process)

    try do
      aliases = Keyword.keys(Mix.Project.config()[:aliases] || [])
      deps = Enum.map(Mix.Dep.load_and_cache(), &Mix.Dep.check_lock/1)

      cond do
        not Enum.all?(deps, &usual?/1) -> :ok
        task = Enum.find(@tasks, &(&1 in aliases)) -> File.write!(path, "alias\t#{task}")
        true -> File.write!(path, Enum.map(deps, &line/1))
      end
    catch
      _, _ -> :ok
    after
      Mix.Shell.Process.flush()
      Mix.shell(shell)
    end
  end

  defp usual?(dep), do: Mix.Dep.compilable?(dep) or Mix.Dep.ok?(dep) or not dep.scm.fetchable?()

  defp line(dep) do
    children = Enum.map_join(dep.deps, " ", & &1.app)
    fields = [dep.app, state(dep), dep.opts[:build], dep.opts[:dest], children, dep.manager, version(dep), options(dep)]
    [Enum.intersperse(Enum.map(fields, &to_string/1), ?\t), ?\n]
  end

  defp version(dep) do
    case dep.opts[:lock] do
      lock when is_tuple(lock) and tuple_size(lock) > 2 -> elem(lock, 2)
      _ -> ""
    end
  end

  # A digest of the options that affect compilation.
  defp options(dep) do
    opts = Keyword.drop(dep.opts, ~w(build deps_path dest)a)
    Base.encode16(:erlang.md5(:erlang.term_to_binary(Enum.sort(opts), [:deterministic])), case: :lower)
  end

  defp state(dep) do
    cond do
      not dep.scm.fetchable?() -> "local"
      Mix.Dep.ok?(dep) -> "compiled"
      # A custom command or a Makefile may use files of other dependencies.
      is_binary(dep.opts[:compile]) or Mix.Dep.make?(dep) -> "alone"
      true -> "compile"
    end
  end
end

defmodule Mix.Tasks.Mixpack.Dependency do
  @moduledoc false
  use Mix.Task

  @lock "MIX_OS_CONCURRENCY_LOCK"

  # Compiles one dependency as `Mix.Tasks.Deps.Compile` does. `others` are already compiled, perhaps by another VM. If
  # `reads` is a path, writes the inputs of the compilation to it. Without arguments, only loads the project's
  # dependencies.
  @impl true
  def run([]), do: Mix.Dep.load_and_cache()

  def run([name, reads | others]) do
    deps = Map.new(Mix.Dep.cached(), &{Atom.to_string(&1.app), &1})
    for other <- others, path <- Mix.Dep.load_paths(deps[other]), do: Code.prepend_path(path)
    lock = System.get_env(@lock)
    # The lock would make the VMs take turns, since all write to the same `_build`.
    System.put_env(@lock, "0")

    try do
      dep = Mix.Dep.check_lock(deps[name])
      compile = fn -> Mix.Tasks.Deps.Compile.compile([dep]) end

      if reads == "-",
        do: compile.(),
        else: Mix.Tasks.Mixpack.Reads.trace(reads, [dep.opts[:dest], dep.opts[:build]], compile)
    after
      if lock, do: System.put_env(@lock, lock), else: System.delete_env(@lock)
    end
  end
end
