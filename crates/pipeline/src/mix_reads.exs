defmodule Mix.Tasks.Mixpack.Reads do
  @moduledoc false

  # Traces the inputs of compiling a dependency besides its own files: the calls of these functions. Each call yields
  # a kind and a name. The shared store offers a compiled dependency only to builds in which all inputs are the same.
  @calls [
    {:application_controller, :get_env, 2},
    {:application_controller, :get_env, 3},
    {:application_controller, :get_all_env, 1},
    {:application_controller, :set_env, 3},
    {:application_controller, :set_env, 4},
    {:application_controller, :get_key, 2},
    {:application_controller, :get_all_key, 1},
    {:application_controller, :get_application_module, 1},
    {:application_controller, :load_application, 1},
    {:application_controller, :loaded_applications, 0},
    {:application_controller, :which_applications, 0},
    {:application_controller, :which_applications, 1},
    {:code, :all_available, 0},
    {:code, :all_loaded, 0},
    {:code, :get_path, 0},
    {:code, :where_is_file, 1},
    {:code, :ensure_loaded, 1},
    {:code, :ensure_modules_loaded, 1},
    {:code, :is_loaded, 1},
    {:code, :lib_dir, 1},
    {:code, :lib_dir, 2},
    {:code, :load_file, 1},
    {:code, :module_md5, 1},
    {:code, :priv_dir, 1},
    {:code, :which, 1},
    {:code, :get_object_code, 1},
    {:erlang, :function_exported, 3},
    {:erlang, :loaded, 0},
    {:erlang, :load_nif, 2},
    {:erlang, :module_loaded, 1},
    {:erlang, :open_port, 2},
    {:erlang, :system_info, 1},
    {:inet, :gethostname, 0},
    {:inet_db, :gethostname, 0},
    {:init, :get_argument, 1},
    {:init, :get_arguments, 0},
    {:init, :get_plain_arguments, 0},
    {:os, :env, 0},
    {:os, :get_env_var, 1},
    {:os, :getenv, 0},
    {:os, :getenv, 1},
    {:os, :getenv, 2},
    {:os, :list_env_vars, 0},
    {:os, :version, 0},
    {:persistent_term, :get, 0},
    {:persistent_term, :get, 1},
    {:persistent_term, :get, 2},
    {:prim_inet, :open, 3},
    {:prim_inet, :open, 4},
    {:prim_inet, :open, 5},
    {:prim_socket, :open, 2},
    {:prim_socket, :open, 4},
    {:gen_tcp, :connect, 4},
    {:gen_tcp, :listen, 2},
    {UndefinedFunctionError, :hint_for_missing_module, 3},
    {System, :argv, 0},
    {System, :schedulers, 0},
    {System, :schedulers_online, 0},
    {Application, :spec, 1},
    {Application, :spec, 2},
    {Code, :compiler_options, 1},
    {Code, :put_compiler_option, 2},
    {Mix.Dep, :cached, 0},
    {Mix.Dep, :load_and_cache, 0},
    {Mix.Dep, :load_on_environment, 1},
    {Mix.Dep.Lock, :read, 0},
    {Mix.Dep.Lock, :read, 1},
    {Mix.Project, :deps_apps, 0},
    {Mix.Project, :deps_paths, 0},
    {Mix.Project, :deps_paths, 1},
    {Mix.Project, :deps_scms, 0},
    {Mix.Project, :deps_scms, 1},
    {Mix.Project, :deps_tree, 0},
    {Mix.Project, :deps_tree, 1}
  ]

  @files ~w(del_dir del_file delete list_dir list_dir_all make_dir make_hard_link make_link make_soft_link make_symlink
            open read_file read_file_info read_handle_info read_link read_link_all read_link_info rename write_file)a

  # These return the state of the VM, which other builds can't compare.
  @vm_state %{
    all_available: "which modules exist",
    all_loaded: "which modules are loaded",
    argv: "for the arguments of mix",
    ensure_modules_loaded: "which modules exist",
    get_path: "the code path",
    loaded: "which modules are loaded",
    loaded_applications: "which applications are loaded",
    where_is_file: "for files in the code path",
    which_applications: "which applications are started"
  }

  @core_counts ~w(cpu_topology dirty_cpu_schedulers dirty_cpu_schedulers_online logical_processors logical_processors_available
               logical_processors_online schedulers schedulers_online)a

  # These are the same on every machine with this Erlang.
  @same_everywhere ~w(build_type c_compiler_used debug_compiled driver_version dynamic_trace emu_flavor emu_type endian machine
                nif_version otp_release smp_support system_architecture threads version wordsize)a

  # These write to the path in their second argument.
  @two_paths ~w(make_hard_link make_link make_soft_link make_symlink rename)a

  # Writes the config that dependencies are compiled with: a line `APP KEY<TAB>SHA256<TAB>VARIABLE<TAB>MODULES` for
  # each value. SHA256 is empty if no other VM can have the same value. VARIABLE is the first of `variables` whose
  # content the value contains. MODULES are the modules that the value names. The compiler options are a value named
  # `compiler options`.
  def write_config(path, variables) do
    secrets =
      for name <- variables,
          line <- String.split(System.get_env(name, ""), ["\n", "\r"], trim: true),
          byte_size(line) >= 6,
          do: {name, String.trim(line)}

    lines =
      for {{:env, app, key}, value} <- :ets.tab2list(:ac_tab) do
        leaves = leaves(value)
        texts = Enum.filter(leaves, &is_binary/1)
        {variable, _} = Enum.find(secrets, {"", ""}, fn {_, text} -> Enum.any?(texts, &String.contains?(&1, text)) end)
        modules = for leaf <- leaves, is_atom(leaf), "Elixir." <> name <- [Atom.to_string(leaf)], do: name
        fields = [name(app, key), digest(value, leaves), variable, modules |> Enum.uniq() |> Enum.join(" ")]
        [Enum.intersperse(fields, ?\t), ?\n]
      end

    options = Enum.map(Enum.sort(Code.available_compiler_options()), &{&1, Code.get_compiler_option(&1)})
    File.write!(path, ["compiler options\t", digest(options, leaves(options)), "\t\t\n" | lines])
  end

  defp name(app, key), do: line("#{inspect(app)} #{inspect(key)}")

  defp line(text), do: String.replace(text, ["\t", "\n", "\r"], " ")

  defp digest(value, leaves) do
    if Enum.any?(leaves, &(is_pid(&1) or is_port(&1) or is_reference(&1) or local?(&1))),
      do: "",
      else: Base.encode16(:crypto.hash(:sha256, :erlang.term_to_binary(value, [:deterministic])), case: :lower)
  end

  defp local?(leaf), do: is_function(leaf) and :erlang.fun_info(leaf, :type) == {:type, :local}

  # The leaves of a term. Charlists also count as strings.
  defp leaves(list) when is_list(list) and list != [] do
    text = if List.ascii_printable?(list), do: [List.to_string(list)], else: []
    text ++ improper(list)
  rescue
    _ -> improper(list)
  end

  defp leaves(map) when is_map(map), do: map |> :maps.to_list() |> leaves()
  defp leaves(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> leaves()
  defp leaves(leaf), do: [leaf]

  defp improper([head | tail]), do: leaves(head) ++ improper(tail)
  defp improper([]), do: []
  defp improper(tail), do: leaves(tail)

  # Runs `fun`, and writes what it read outside of these folders to `path`: lines `KIND<TAB>NAME`.
  def trace(path, folders, fun) do
    # From Elixir 1.19 on, mix deletes the app's consolidated protocols. Before 1.15, it looks for packages to delete.
    consolidated = Mix.Project.consolidation_path()
    servers = Enum.map([:code_server, :erl_prim_loader], &Process.whereis/1)
    lib = if Version.match?(System.version(), "< 1.15.0-dev"), do: Path.join(Mix.Project.build_path(), "lib")
    places = %{folders: [consolidated | folders], app: Path.dirname(consolidated), lib: lib, servers: servers}
    collector = spawn_link(fn -> collect(MapSet.new(), [], File.cwd!(), places) end)
    files = for {name, arity} <- :prim_file.module_info(:exports), name in @files, do: {:prim_file, name, arity}
    calls = Enum.filter([{:prim_file, :set_cwd, 1} | files] ++ @calls, &loaded?/1)
    pattern = [{:_, [], [{:message, {:caller}}]}]
    for call <- calls, do: :erlang.trace_pattern(call, pattern, [{:meta, collector}])

    try do
      fun.()
    after
      for call <- calls, do: :erlang.trace_pattern(call, false, [:meta])
      ref = :erlang.trace_delivered(:all)

      receive do
        {:trace_delivered, :all, ^ref} -> :ok
      end

      send(collector, {:stop, self(), path})

      receive do
        {^collector, :written} -> :ok
      end
    end
  end

  defp loaded?({module, name, arity}) do
    Code.ensure_loaded?(module) and function_exported?(module, name, arity) or :erlang.is_builtin(module, name, arity)
  end

  # `allowed` has the reads that mix itself is about to make, not a dependency.
  defp collect(seen, allowed, cwd, places) do
    receive do
      # Calls by this process, which looks up the callers.
      {:trace_ts, pid, :call, _, _, _} when pid == self() ->
        collect(seen, allowed, cwd, places)

      {:trace_ts, _, :call, {:prim_file, :set_cwd, [dir]}, _, _} ->
        collect(seen, allowed, Path.expand(to_string(dir), cwd), places)

      {:trace_ts, _, :call, {Mix.Dep.Lock, _, _}, _, _} ->
        collect(seen, [:lock | allowed], cwd, places)

      {:trace_ts, _, :call, {Application, :spec, [app | _]}, caller, _} ->
        allowed = if of_mix?(caller), do: [{:application, inspect(app)} | allowed], else: allowed
        collect(seen, allowed, cwd, places)

      # Mix tells other VMs about compiled modules.
      {:trace_ts, _, :call, {:gen_tcp, _, _}, {Mix.Sync.PubSub, _, _}, _} ->
        collect(seen, [:network, :driver | allowed], cwd, places)

      {:trace_ts, _, :call, {:gen_tcp, _, _}, _, _} ->
        collect(seen, allowed, cwd, places)

      {:trace_ts, pid, :call, {module, name, args}, caller, _} ->
        read = safely_read(module, name, args, caller, cwd)
        of_mix = of_mix(read)

        cond do
          of_mix in allowed -> collect(seen, List.delete(allowed, of_mix), cwd, places)
          read == nil or own?(read, pid, places) -> collect(seen, allowed, cwd, places)
          true -> collect(MapSet.put(seen, read), allowed, cwd, places)
        end

      {:stop, from, path} ->
        apps = for root <- roots(), app <- File.ls!(root), do: inspect(String.to_atom(hd(String.split(app, "-"))))
        lines = for {kind, name} <- Enum.sort(seen), not core?(kind, name, apps), do: [kind, ?\t, line(text(name)), ?\n]
        File.write!(path, lines)
        send(from, {self(), :written})
    end
  end

  defp of_mix?({module, _, _} = caller), do: String.starts_with?(inspect(module), "Mix.") and of_toolchain?(caller)
  defp of_mix?(_), do: false

  # Whether the caller is part of Erlang or Elixir. The modules below are, but run code of the dependency: they
  # evaluate the bodies of modules.
  defp of_toolchain?({module, _, _}) when module in [:elixir, :elixir_compiler, :elixir_module, :erl_eval], do: false

  defp of_toolchain?({module, _, _}) do
    case :code.is_loaded(module) do
      {:file, file} -> core_file?(file)
      false -> false
    end
  end

  defp of_toolchain?(_), do: false

  defp of_mix({"application", name}), do: {:application, name}
  defp of_mix({"network", _}), do: :network
  defp of_mix({"program", "{:spawn_driver, ~c\"tcp_inet\"}"}), do: :driver
  defp of_mix({"file", path}), do: if(Path.basename(path) == "mix.lock", do: :lock)
  defp of_mix(_), do: nil

  defp own?({kind, path}, pid, places) when kind in ~w(file folder status) do
    # The code server lists each directory of the code path.
    listed? = pid in places.servers and kind != "file" and String.ends_with?(path, ["/ebin", ".ez"])
    of_mix? = path == places.app or (kind == "folder" and places.lib in [path, Path.dirname(path)])
    listed? or of_mix? or Enum.any?(places.folders, &within?(path, &1))
  end

  defp own?(_, _, _), do: false

  # A module or application of Erlang or Elixir is the same in every build with the same key.
  defp core?(_, module, _) when is_atom(module), do: core_file?(:code.which(module))
  defp core?(kind, name, apps), do: kind == "application" and name in apps

  defp core_file?(:preloaded), do: true
  defp core_file?(file), do: is_list(file) and Enum.any?(roots(), &within?(to_string(file), &1))

  defp roots, do: [to_string(:code.lib_dir()), to_string(:code.lib_dir(:elixir)) |> Path.dirname()]

  # Modules stay atoms until the end, for `core?`.
  defp text(module) when is_atom(module), do: inspect(module)
  defp text(text), do: text

  # Unexpected arguments only keep the dependency out of the store. They must not fail the build.
  defp safely_read(module, name, args, caller, cwd) do
    read(module, name, args, caller, cwd)
  rescue
    _ -> {"unknown", "what #{inspect(module)}.#{name} tells"}
  end

  defp within?(path, folder), do: path == folder or String.starts_with?(path, folder <> "/")

  defp read(:prim_file, name, [_, path], caller, cwd) when name in @two_paths, do: read(:prim_file, :open, [path], caller, cwd)

  defp read(:prim_file, name, [path | _], _, cwd) when is_list(path) or is_binary(path) do
    kind =
      case name do
        name when name in [:list_dir, :list_dir_all] -> "folder"
        # mix creates the directories of a package before compiling it.
        name when name in ~w(make_dir read_file_info read_handle_info read_link read_link_all read_link_info)a -> "status"
        _ -> "file"
      end

    {kind, Path.expand(IO.chardata_to_string(path), cwd)}
  end

  defp read(:prim_file, _, _, _, _), do: nil
  defp read(:application_controller, :load_application, [app], _, _), do: if(is_atom(app), do: {"application", inspect(app)})
  defp read(:code, name, [app | _], _, _) when name in [:lib_dir, :priv_dir], do: {"application", inspect(app)}
  # A warning suggests modules with similar names.
  defp read(UndefinedFunctionError, _, [module | _], _, _), do: {"similar", module}
  defp read(:code, :all_available, _, {UndefinedFunctionError, :hint_for_missing_module, _}, _), do: nil
  # Skip the calls of mix itself, and those that Erlang makes to load an application or module: that is a traced call
  # of its own.
  defp read(_, name, _, {caller, _, _}, _) when is_map_key(@vm_state, name) and caller in [:application_controller, :code], do: nil
  defp read(_, name, _, caller, _) when is_map_key(@vm_state, name), do: if(of_mix?(caller), do: nil, else: {"vm", @vm_state[name]})
  defp read(:application_controller, :get_application_module, [module], _, _), do: {"module", module}
  defp read(:application_controller, :get_env, [app, key | _], _, _), do: {"config", name(app, key)}
  defp read(:application_controller, :set_env, [app, key | _], _, _), do: {"set", name(app, key)}
  defp read(:application_controller, :get_all_env, [app], _, _), do: {"configs", inspect(app)}
  defp read(:application_controller, _, [app | _], _, _), do: {"application", inspect(app)}
  defp read(:os, :version, _, _, _), do: {"machine", ":os.version"}
  defp read(:os, _, [name | _], _, _) when is_list(name), do: {"variable", to_string(name)}
  defp read(:os, _, _, _, _), do: {"variables", "all"}

  defp read(:erlang, :open_port, [what, opts], _, _) do
    # Up to Elixir 1.14, mix starts rebar3 with sh.
    args = for opts when is_list(opts) <- [opts], {:args, args} <- opts, arg <- args, do: to_string(arg)
    {"program", inspect(what) <> Enum.map_join(args, &" #{inspect(&1)}")}
  end

  defp read(:erlang, :system_info, [what], caller, _) when what in @core_counts, do: of_machine(":erlang.system_info", caller)
  defp read(:erlang, :system_info, [what], _, _) when what in @same_everywhere, do: nil
  defp read(:erlang, :system_info, _, caller, _), do: unless_of_toolchain(caller, {"machine", ":erlang.system_info"})
  defp read(:init, _, _, caller, _), do: unless_of_toolchain(caller, {"vm", "for the arguments of the VM"})
  defp read(:persistent_term, _, _, caller, _), do: unless_of_toolchain(caller, {"vm", "for persistent terms"})
  defp read(Code, _, _, caller, _), do: unless_of_toolchain(caller, {"set", "compiler options"})
  defp read(:erlang, :load_nif, [path | _], _, _), do: {"nif", to_string(path)}
  defp read(:erlang, _, [module | _], _, _) when is_atom(module), do: {"module", module}
  defp read(:code, _, [module], _, _) when is_atom(module), do: {"module", module}

  defp read(System, name, _, caller, _), do: of_machine("System.#{name}", caller)

  # mix itself calls these functions too.
  defp read(module, _, _, caller, _) when module in [Mix.Dep, Mix.Project],
    do: if(of_mix?(caller), do: nil, else: {"project", inspect(caller)})

  defp read(module, name, _, _, _), do: {"network", "#{inspect(module)}.#{name}"}

  defp unless_of_toolchain(caller, read), do: if(of_toolchain?(caller), do: nil, else: read)

  # The compiler itself reads the number of cores too.
  defp of_machine(name, {caller, _, _}) do
    tools = ~w(Elixir.Kernel. Elixir.Mix. Elixir.Module. Elixir.System Elixir.Task)
    if Enum.any?(tools, &String.starts_with?(Atom.to_string(caller), &1)), do: nil, else: {"machine", name}
  end

  defp of_machine(name, _), do: {"machine", name}
end
